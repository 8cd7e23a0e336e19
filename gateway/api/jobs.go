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
	id, err := jobID(c)
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
	etag := `"` + tag + `"`
	header := c.Response().Header()
	header.Set(headerETag, etag)
	header.Set(echo.HeaderCacheControl, "private, no-cache")
	if noneMatch(c.Request().Header.Values(headerIfNoneMatch), etag) {
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

// noneMatch reports whether If-None-Match names the entity tag. The comparison is the weak one,
// as RFC 9110 demands of this header.
func noneMatch(values []string, etag string) bool {
	for _, candidate := range splitUnquoted(strings.Join(values, ","), ',') {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}

// cancel answers POST /api/ingesta/jobs/{id}/cancel.
func (a *API) cancel(c echo.Context) error {
	id, err := jobID(c)
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
	id, err := jobID(c)
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

// The limits of a page.
const (
	defaultPage = 50
	largestPage = 200
)

// jobList is one page of jobs.
type jobList struct {
	Jobs []ingest.Job `json:"jobs"`
	Next string       `json:"next_cursor,omitempty"`
}

// list answers GET /api/ingesta/jobs.
func (a *API) list(c echo.Context) error {
	values, err := queryOf(c)
	if err != nil {
		return err
	}
	query := jobs.Query{Limit: defaultPage}
	var faults []ProblemField
	blame := func(parameter, format string, args ...any) {
		faults = append(faults, ProblemField{Parameter: parameter, Detail: fmt.Sprintf(format, args...)})
	}
	for _, parameter := range []string{"database", "status", "limit", "cursor"} {
		given, ok := values[parameter]
		switch {
		case !ok:
			continue
		case len(given) > 1:
			blame(parameter, "is given twice")
			continue
		}
		value := given[0]
		switch parameter {
		case "database":
			query.Database = ingest.Database(value)
			if _, known := a.catalog.Database(query.Database); !known {
				blame(parameter, "must be one of %s", strings.Join(a.knownDatabases(), ", "))
			}
		case "status":
			status, err := ingest.ParseStatus(value)
			if err != nil {
				blame(parameter, "must be one of %v", ingest.Statuses())
			}
			query.Status = status
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > largestPage {
				blame(parameter, "must be a number from 1 to %d", largestPage)
			}
			query.Limit = n
		case "cursor":
			query.Cursor = value
		}
	}
	if len(faults) > 0 {
		return faulty(invalidParameter, faults...)
	}
	page, err := a.jobs.List(c.Request().Context(), query)
	if err != nil {
		return err
	}
	if page.Next != "" {
		next := url.Values{"cursor": {page.Next}}
		for _, parameter := range []string{"database", "status", "limit"} {
			if value := values.Get(parameter); value != "" {
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

// queryOf returns the parameters of the request, or a *Problem: one that was lost would be taken for
// one that was not given.
func queryOf(c echo.Context) (url.Values, error) {
	values, err := url.ParseQuery(c.QueryString())
	if err != nil {
		return nil, fault(invalidParameter, "the query string is not well-formed: a percent sign needs two hexadecimal digits, a semicolon separates nothing")
	}
	return values, nil
}

// jobID returns the id in the path, or a *Problem: what is not a UUID was never a job.
func jobID(c echo.Context) (string, error) {
	given := c.Param("id")
	id, err := uuid.Parse(given)
	if err != nil || id.String() != strings.ToLower(given) {
		return "", fault(jobs.NotFound, "there is no job %s", strconv.Quote(cut(given)))
	}
	return id.String(), nil
}
