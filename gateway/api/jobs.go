package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// get answers GET /api/ingesta/jobs/{id}.
func (a *API) get(c echo.Context) error {
	id, err := JobID(c)
	if err != nil {
		return err
	}
	job, err := a.jobs.Get(c.Request().Context(), id)
	if err != nil {
		return err
	}
	c.Set(jobKey, jobAttrs{job.ID, string(job.Database)})
	body, tag, err := represent(job)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "private, no-cache")
	if Unchanged(c, tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, append(body, '\n'))
}

// represent returns the job as JSON on one line, and the opaque part of its entity tag.
func represent(job ingest.Job) (body []byte, tag string, err error) {
	body, err = json.Marshal(job)
	if err != nil {
		return nil, "", fmt.Errorf("writing a job: %w", err)
	}
	sum := sha256.Sum256(body)
	return body, hex.EncodeToString(sum[:16]), nil
}

// cancel answers POST /api/ingesta/jobs/{id}/cancel.
func (a *API) cancel(c echo.Context) error {
	id, err := JobID(c)
	if err != nil {
		return err
	}
	if err := readNothing(c); err != nil {
		return err
	}
	Note(c, Deed{JobIDs: []string{id}})
	job, err := a.jobs.Cancel(c.Request().Context(), id, Traceparent(c))
	if err != nil {
		return err
	}
	c.Set(jobKey, jobAttrs{job.ID, string(job.Database)})
	Note(c, Deed{Database: string(job.Database)})
	header := c.Response().Header()
	header.Set(echo.HeaderLocation, jobPath(job.ID))
	if !job.Status.Terminal() {
		header.Set(echo.HeaderRetryAfter, pollAfter)
	}
	return answer(c, http.StatusAccepted, job)
}

// retry answers POST /api/ingesta/jobs/{id}/retry.
func (a *API) retry(c echo.Context) error {
	id, err := JobID(c)
	if err != nil {
		return err
	}
	if err := readNothing(c); err != nil {
		return err
	}
	receipt, err := a.accept(c, jobs.Order{RetryOf: id})
	if err != nil {
		return err
	}
	return a.answerAccepted(c, receipt)
}

// jobList is one page of jobs.
type jobList struct {
	Jobs []ingest.Job `json:"jobs"`
	Next string       `json:"next_cursor,omitempty"`
}

// list answers GET /api/ingesta/jobs.
func (a *API) list(c echo.Context) error {
	asked, err := parametersOf(c)
	if err != nil {
		return err
	}
	query := jobs.Query{Database: a.databaseOf(asked), Status: asked.status(), Limit: asked.limit(largestPage)}
	query.Cursor, _ = asked.text("cursor")
	if err := asked.check(); err != nil {
		return err
	}
	page, err := a.jobs.List(c.Request().Context(), query)
	if err != nil {
		return err
	}
	if page.Next != "" {
		next := url.Values{"cursor": {page.Next}}
		for _, parameter := range []string{"database", "status", "limit"} {
			if value := asked.values.Get(parameter); value != "" {
				next.Set(parameter, value)
			}
		}
		c.Response().Header().Set(headerLink, "</api/ingesta/jobs?"+next.Encode()+`>; rel="next"`)
	}
	if page.Jobs == nil {
		page.Jobs = []ingest.Job{} // an empty page is an empty list, not null
	}
	return answer(c, http.StatusOK, jobList{Jobs: page.Jobs, Next: page.Next})
}

// JobID returns the id of a job in the path, or a *Problem: what is not a UUID was never a job.
func JobID(c echo.Context) (string, error) {
	given := c.Param("id")
	id, err := uuid.Parse(given)
	if err != nil || id.String() != strings.ToLower(given) {
		return "", fault(jobs.NotFound, "there is no job %s", strconv.Quote(cut(given)))
	}
	return id.String(), nil
}
