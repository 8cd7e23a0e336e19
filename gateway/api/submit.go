package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// pollAfter is the Retry-After of an accepted job, in seconds.
const pollAfter = "2"

// acceptedList is the answer to a request for several jobs.
type acceptedList struct {
	Jobs []acceptedJob `json:"jobs"`
}

// submit answers POST /api/ingesta/{database}.
func (a *API) submit(c echo.Context) error {
	name := c.Param("database")
	if slices.Contains(reserved, name) {
		c.Response().Header().Set(echo.HeaderAllow, "OPTIONS, GET, HEAD")
		return echo.ErrMethodNotAllowed
	}
	if err := a.checkDatabase(name); err != nil {
		return err // before the body: a wrong path is the more basic mistake
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	wanted, err := decodeSubmission(body, fieldDatasets, fieldOnConflict)
	if err != nil {
		return err
	}
	Note(c, Deed{Database: name, Datasets: wanted.Datasets, OnConflict: string(wanted.OnConflict)})
	receipt, err := a.accept(c, jobs.Order{Database: ingest.Database(name), Datasets: wanted.Datasets, OnConflict: wanted.OnConflict})
	if err != nil {
		return err
	}
	return a.answerAccepted(c, receipt)
}

// answerAccepted answers with the one job that a request has made, and waits for it first where the
// client prefers that.
func (a *API) answerAccepted(c echo.Context, receipt jobs.Receipt) error {
	job := receipt.Jobs[0]
	c.Set(jobKey, jobAttrs{job.ID, string(job.Database)})
	Note(c, Deed{JobIDs: []string{job.ID}, Database: string(job.Database)})
	c.Response().Header().Set(echo.HeaderLocation, jobPath(job.ID))
	accepted := a.await(c, receipt.Jobs)
	return answer(c, accepted, acceptedJobs(receipt)[0])
}

// acceptedJob is a job in the answer to the request that asked for it.
type acceptedJob struct {
	ingest.Job
	Deduplicated bool `json:"deduplicated,omitempty"` // another request had asked for the same work, and it is its job
}

func acceptedJobs(receipt jobs.Receipt) []acceptedJob {
	accepted := make([]acceptedJob, len(receipt.Jobs))
	for i, job := range receipt.Jobs {
		accepted[i] = acceptedJob{Job: job, Deduplicated: receipt.Joined != nil && receipt.Joined[i]}
	}
	return accepted
}

// submitAll answers POST /api/ingesta: one job per database of the catalog.
func (a *API) submitAll(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	wanted, err := decodeSubmission(body, fieldOnConflict)
	if err != nil {
		return err
	}
	Note(c, Deed{OnConflict: string(wanted.OnConflict)})
	var orders []jobs.Order
	for _, db := range a.catalog.Databases() {
		orders = append(orders, jobs.Order{Database: db.Name, OnConflict: wanted.OnConflict})
	}
	receipt, err := a.accept(c, orders...)
	if err != nil {
		return err
	}
	var ids []string
	for _, job := range receipt.Jobs {
		ids = append(ids, job.ID)
	}
	Note(c, Deed{JobIDs: ids})
	linkJobs(c.Response().Header(), ids)
	accepted := a.await(c, receipt.Jobs)
	return answer(c, accepted, acceptedList{Jobs: acceptedJobs(receipt)})
}

// accept has the orders accepted under the headers of the request.
func (a *API) accept(c echo.Context, orders ...jobs.Order) (jobs.Receipt, error) {
	key, err := idempotencyKey(c.Request().Header)
	if err != nil {
		return jobs.Receipt{}, err
	}
	r := a.request(c)
	r.Orders, r.IdempotencyKey = orders, key
	receipt, err := a.jobs.Submit(c.Request().Context(), r)
	if err != nil {
		return jobs.Receipt{}, err
	}
	if receipt.Replayed {
		c.Response().Header().Set(headerIdempotencyReplayed, "true")
	}
	return receipt, nil
}

// request returns who asks, and in which trace.
func (a *API) request(c echo.Context) jobs.Request {
	return jobs.Request{RequestedBy: Subject(c), RequestID: RequestID(c), Traceparent: Traceparent(c)}
}

// await waits for the end of the jobs as far as the client prefers, brings them up to date and
// returns the status of the answer: 200 when all are over and the client waited, 202 otherwise.
func (a *API) await(c echo.Context, accepted []ingest.Job) int {
	header := c.Response().Header()
	header.Add(echo.HeaderVary, headerPrefer)
	prefers := parsePrefer(c.Request().Header.Values(headerPrefer))
	wait := a.cfg.DefaultWait
	switch {
	case prefers.waits:
		wait = min(prefers.wait, a.cfg.MaxWait)
		header.Set(headerPreferenceApplied, "wait="+strconv.Itoa(int(wait.Seconds())))
	case prefers.respondAsync:
		wait = 0
		header.Set(headerPreferenceApplied, "respond-async")
	}
	if wait > 0 && a.waitFor(c, accepted, wait) {
		return http.StatusOK
	}
	header.Set(echo.HeaderRetryAfter, pollAfter)
	return http.StatusAccepted
}

// waitFor reports whether all jobs were over within the time. It updates them in place. That the
// waiting itself fails changes nothing about their having been accepted: the client will poll.
func (a *API) waitFor(c echo.Context, accepted []ingest.Job, wait time.Duration) bool {
	const toAnswer = 30 * time.Second
	if err := allowLonger(c, wait+toAnswer); err != nil {
		a.log.Warn("cannot extend the deadline of a waiting request", "request_id", RequestID(c), "error", err)
		return false
	}
	ctx, cancel := context.WithTimeoutCause(c.Request().Context(), wait, errors.New("the client's wait is over"))
	defer cancel()
	defer context.AfterFunc(a.draining, cancel)()

	ids := make([]string, len(accepted))
	for i, job := range accepted {
		ids[i] = job.ID
	}
	latest, err := a.jobs.Wait(ctx, ids)
	if err != nil {
		a.log.Warn("cannot wait for jobs", "request_id", RequestID(c), "job_id", strings.Join(ids, ","), "error", err)
		return false
	}
	copy(accepted, latest)
	return !slices.ContainsFunc(latest, func(j ingest.Job) bool { return !j.Status.Terminal() })
}

// checkDatabase returns an error unless the catalog has the database. To the router, whatever
// follows the last known slash is one name.
func (a *API) checkDatabase(name string) error {
	if strings.Contains(name, "/") {
		return echo.ErrNotFound
	}
	if _, known := a.catalog.Database(ingest.Database(name)); known {
		return nil
	}
	p := fault(jobs.UnknownDatabase, "there is no database %s; known: %s", strconv.Quote(cut(name)), strings.Join(a.knownDatabases(), ", "))
	p.Known = a.knownDatabases()
	return p
}

// idempotencyKey returns the key the client chose, or a *Problem.
func idempotencyKey(header http.Header) (string, error) {
	keys := header.Values(headerIdempotencyKey)
	if len(keys) == 0 {
		return "", nil
	}
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > 255 || !printable(keys[0]) {
		return "", faulty(invalidHeader, ProblemField{Header: headerIdempotencyKey, Detail: "must be given once, with 1 to 255 visible ASCII characters"})
	}
	return keys[0], nil
}

// Traceparent returns the trace context of the request, or nothing when it is not valid.
func Traceparent(c echo.Context) string {
	if parent := c.Request().Header.Get(headerTraceparent); validTraceparent(parent) {
		return parent
	}
	return ""
}

// linkJobs links the jobs that an answer is about.
func linkJobs(header http.Header, ids []string) {
	for _, id := range ids {
		header.Add(headerLink, "<"+jobPath(id)+`>; rel="item"`)
	}
}

func jobPath(id string) string { return "/api/ingesta/jobs/" + id }
