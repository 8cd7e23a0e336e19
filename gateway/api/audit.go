package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// Deed is what a request that changes something is about, as far as its handler has come.
type Deed struct {
	JobIDs     []string // the jobs that it made or dealt with
	DeadLetter string   // the dead letter it replays
	Database   string
	Datasets   []string // empty: all of the database
	OnConflict string
}

// deedKey is where the deed of a request is kept in Echo's context.
const deedKey = "deed"

// Note tells the audit log what the request is about. What was noted before is kept where d says nothing.
func Note(c echo.Context, d Deed) {
	noted, _ := c.Get(deedKey).(Deed)
	if len(d.JobIDs) > 0 {
		noted.JobIDs = d.JobIDs
	}
	if len(d.Datasets) > 0 {
		noted.Datasets = d.Datasets
	}
	noted.DeadLetter = cmp.Or(d.DeadLetter, noted.DeadLetter)
	noted.Database = cmp.Or(d.Database, noted.Database)
	noted.OnConflict = cmp.Or(d.OnConflict, noted.OnConflict)
	c.Set(deedKey, noted)
}

// actions names what the API's own routes do. Routes of other parts stand in the log with their names.
var actions = map[string]string{
	"POST /api/ingesta":                         "submit_all",
	"POST /api/ingesta/:database":               "submit",
	"POST /api/ingesta/jobs/:id/cancel":         "cancel",
	"POST /api/ingesta/jobs/:id/retry":          "retry",
	"POST /api/ingesta/dead-letters/:id/replay": "replay",
}

// safe are the methods that change nothing.
var safe = []string{http.MethodGet, http.MethodHead, http.MethodOptions}

// audit writes who did what, from where and with what result: one line for each request of a route that
// changes something, refused ones included. It holds neither tokens nor bodies.
func (a *API) audit(c echo.Context, told *Problem) {
	r, route := c.Request(), routeName(c)
	if _, declared := a.needs[route]; !declared || slices.Contains(safe, r.Method) {
		return
	}
	attrs := []slog.Attr{
		slog.String("action", cmp.Or(actions[route], route)), slog.String("path", cut(r.URL.Path)),
		slog.String("subject", Subject(c)), slog.String("remote_ip", c.RealIP()),
		slog.Int("status", c.Response().Status), slog.String("request_id", RequestID(c)),
	}
	if told != nil {
		attrs = append(attrs, slog.String("code", string(told.Code)))
	}
	if id := CorrelationID(c); id != "" {
		attrs = append(attrs, slog.String("correlation_id", id))
	}
	deed, _ := c.Get(deedKey).(Deed)
	if told != nil && len(told.JobIDs) > 0 {
		deed.JobIDs = told.JobIDs
	}
	for _, said := range []struct{ key, value string }{
		{"dead_letter", deed.DeadLetter}, {"database", deed.Database}, {"on_conflict", deed.OnConflict},
	} {
		if said.value != "" {
			attrs = append(attrs, slog.String(said.key, cut(said.value)))
		}
	}
	if len(deed.JobIDs) > 0 {
		attrs = append(attrs, slog.Any("job_ids", deed.JobIDs))
	}
	if len(deed.Datasets) > 0 {
		attrs = append(attrs, slog.Any("datasets", cutAll(deed.Datasets)))
	}
	a.log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelInfo, "audit", attrs...)
}

// cutAll shortens a client's list for the log.
func cutAll(list []string) []string {
	const most = 20
	var short []string
	for _, text := range list[:min(len(list), most)] {
		short = append(short, cut(text))
	}
	if len(list) > most {
		short = append(short, "…")
	}
	return short
}
