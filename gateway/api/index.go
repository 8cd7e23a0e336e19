package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// serviceIndex is the answer of GET /: what there is, for people with a terminal.
type serviceIndex struct {
	Service   string         `json:"service"`
	Version   string         `json:"version"`
	Databases []string       `json:"databases"`
	Routes    []serviceRoute `json:"routes"`
}

type serviceRoute struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Does   string `json:"does"`
}

func (a *API) index(c echo.Context) error {
	return answer(c, http.StatusOK, serviceIndex{
		Service: "PharmaVida Ingesta", Version: a.version, Databases: a.knownDatabases(),
		Routes: []serviceRoute{
			{http.MethodPost, "/api/ingesta/{database}", "export one database; 202 and a job to poll, or Prefer: wait=N"},
			{http.MethodPost, "/api/ingesta", "export every database"},
			{http.MethodGet, "/api/ingesta/jobs/{id}", "one job"},
			{http.MethodGet, "/api/ingesta/jobs/{id}/events", "one job as it changes, by server-sent events"},
			{http.MethodGet, "/api/ingesta/events", "every job that changes, by server-sent events; ?database="},
			{http.MethodGet, "/api/ingesta/jobs", "jobs, newest first; ?database= ?status= ?limit= ?cursor="},
			{http.MethodPost, "/api/ingesta/jobs/{id}/cancel", "cancel a job"},
			{http.MethodPost, "/api/ingesta/jobs/{id}/retry", "a new job of what an ended one left undone"},
			{http.MethodGet, "/api/ingesta/dead-letters", "commands that nobody could carry out, oldest first; ?limit="},
			{http.MethodPost, "/api/ingesta/dead-letters/{id}/replay", "a new job of what the command left undone"},
			{http.MethodGet, "/api/ingesta/jobs/{id}/datasets/{name}/download", "leads to the object of a dataset that is done"},
			{http.MethodGet, "/api/ingesta/datasets", "what each database exports"},
			{http.MethodGet, "/api/ingesta/datasets/{database}/{name}/ddl", "how to read its exports in S3; ?dialect=athena or duckdb"},
			{http.MethodGet, "/api/ingesta/health", "each dependency with its latency"},
			{http.MethodGet, "/health", "the gateway is alive"},
			{http.MethodGet, "/ready", "the gateway can accept jobs"},
			{http.MethodGet, "/metrics", "Prometheus metrics"},
		},
	})
}
