package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
)

// The reasons for refusing a request that lie in HTTP itself; those of package jobs stand beside
// them in the table below.
const (
	malformedBody        jobs.Code = "malformed_body"
	invalidBody          jobs.Code = "invalid_body"
	invalidParameter     jobs.Code = "invalid_parameter"
	invalidHeader        jobs.Code = "invalid_header"
	unauthenticated      jobs.Code = "unauthenticated"
	insufficientScope    jobs.Code = "insufficient_scope"
	crossOrigin          jobs.Code = "cross_origin"
	authUnavailable      jobs.Code = "auth_unavailable"
	notFound             jobs.Code = "not_found"
	methodNotAllowed     jobs.Code = "method_not_allowed"
	rateLimited          jobs.Code = "rate_limited"
	datasetNotFound      jobs.Code = "dataset_not_found"
	datasetNeverExported jobs.Code = "dataset_never_exported"
	datasetNotDone       jobs.Code = "dataset_not_done"
	downloadsUnavailable jobs.Code = "downloads_unavailable"
	bodyTimeout          jobs.Code = "body_timeout"
	bodyTooLarge         jobs.Code = "body_too_large"
	unsupportedMediaType jobs.Code = "unsupported_media_type"
	notReady             jobs.Code = "not_ready"
	clientGone           jobs.Code = "client_gone"
	internalError        jobs.Code = "internal_error"
)

// class is how a reason looks over HTTP.
type class struct {
	status     int
	title      string
	retryAfter int // seconds; 0: the same request will not fare better later
}

// classes is the one place that maps reasons to HTTP.
var classes = map[jobs.Code]class{
	malformedBody:        {http.StatusBadRequest, "The body is not well-formed JSON", 0},
	invalidBody:          {http.StatusBadRequest, "The body is not of the expected form", 0},
	invalidParameter:     {http.StatusBadRequest, "A query parameter is not valid", 0},
	invalidHeader:        {http.StatusBadRequest, "A header is not valid", 0},
	jobs.InvalidCursor:   {http.StatusBadRequest, "The cursor is not valid", 0},
	unauthenticated:      {http.StatusUnauthorized, "The caller is not known", 0},
	insufficientScope:    {http.StatusForbidden, "The caller may not do this", 0},
	crossOrigin:          {http.StatusForbidden, "A page of another origin may not do this", 0},
	notFound:             {http.StatusNotFound, "There is nothing here", 0},
	jobs.NotFound:        {http.StatusNotFound, "There is no such job", 0},
	jobs.UnknownDatabase: {http.StatusNotFound, "There is no such database", 0},
	methodNotAllowed:     {http.StatusMethodNotAllowed, "The method is not allowed here", 0},
	bodyTimeout:          {http.StatusRequestTimeout, "The body did not arrive in time", 0},
	jobs.Over:            {http.StatusConflict, "The job is over", 0},
	bodyTooLarge:         {http.StatusRequestEntityTooLarge, "The body is too large", 0},
	unsupportedMediaType: {http.StatusUnsupportedMediaType, "The body is not JSON", 0},

	datasetNotFound:      {http.StatusNotFound, "There is no such dataset", 0},
	datasetNeverExported: {http.StatusConflict, "The dataset was never exported", 0},
	datasetNotDone:       {http.StatusConflict, "The dataset is not done", 0},
	downloadsUnavailable: {http.StatusServiceUnavailable, "There are no downloads", 60}, // until an operator has seen to it

	rateLimited: {http.StatusTooManyRequests, "Too many requests", 0}, // each says itself when to try again

	jobs.Conflicting:      {http.StatusConflict, "The same work is under way", 0},
	jobs.NotOver:          {http.StatusConflict, "The job is not over", 0},
	jobs.Succeeded:        {http.StatusConflict, "The job has succeeded", 0},
	jobs.DatabaseGone:     {http.StatusConflict, "The catalog does not have the database", 0},
	jobs.DatasetGone:      {http.StatusConflict, "The catalog does not have a dataset", 0},
	jobs.LetterNotFound:   {http.StatusNotFound, "There is no such dead letter", 0},
	jobs.LetterUnreadable: {http.StatusConflict, "The dead letter holds no command", 0},
	jobs.LettersBusy:      {http.StatusServiceUnavailable, "The dead letters are in use", 1},

	jobs.UnknownDataset:      {http.StatusUnprocessableEntity, "There is no such dataset", 0},
	jobs.DuplicateDataset:    {http.StatusUnprocessableEntity, "A dataset is named twice", 0},
	jobs.NoDatasets:          {http.StatusUnprocessableEntity, "No dataset is named", 0},
	jobs.IdempotencyMismatch: {http.StatusUnprocessableEntity, "The idempotency key belongs to another request", 0},

	jobs.StoreUnavailable:  {http.StatusServiceUnavailable, "Redis is not available", 5},
	jobs.BrokerUnavailable: {http.StatusServiceUnavailable, "RabbitMQ is not available", 5},
	jobs.Unconfirmed:       {http.StatusServiceUnavailable, "The job is recorded but not confirmed", 5},
	authUnavailable:        {http.StatusServiceUnavailable, "Tokens cannot be checked", 5},
	notReady:               {http.StatusServiceUnavailable, "The gateway is not ready", 5},

	clientGone: {499, "The client hung up", 0}, // nobody reads it; the log and the metrics count it apart

	internalError: {http.StatusInternalServerError, "The gateway failed", 0},
}

// Problem is an RFC 9457 problem: what the client is told. The cause goes to the log alone.
type Problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Code      jobs.Code      `json:"code"`
	Detail    string         `json:"detail"`
	RequestID string         `json:"request_id"`
	Known     []string       `json:"known,omitempty"`
	Errors    []ProblemField `json:"errors,omitempty"`
	JobIDs    []string       `json:"job_ids,omitempty"`

	challenge  string // for the header WWW-Authenticate, or empty
	retryAfter int    // seconds, where the time is not the same for all of its code
	cause      error
}

// ProblemField is one part of the request that is at fault: exactly one of its first three
// fields says which.
type ProblemField struct {
	Pointer   string `json:"pointer,omitempty"` // JSON pointer into the body
	Parameter string `json:"parameter,omitempty"`
	Header    string `json:"header,omitempty"`
	Detail    string `json:"detail"`
}

func (p *Problem) Error() string {
	if p.cause == nil {
		return fmt.Sprintf("%s: %s", p.Code, p.Detail)
	}
	return fmt.Sprintf("%s: %s: %v", p.Code, p.Detail, p.cause)
}

func (p *Problem) Unwrap() error { return p.cause }

// fault returns a problem of the given code.
func fault(code jobs.Code, format string, args ...any) *Problem {
	return &Problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// faulty returns a problem that blames the given fields; its detail is the first one's.
func faulty(code jobs.Code, fields ...ProblemField) *Problem {
	first := fields[0]
	where := first.Parameter + first.Header + first.Pointer
	if where == "" {
		where = "the body"
	}
	return &Problem{Code: code, Detail: where + " " + first.Detail, Errors: fields}
}

// ProblemOf turns any error of a handler or of Echo into a problem. What it does not know is an
// internal error that tells nothing of its cause.
func ProblemOf(err error) *Problem {
	p := &Problem{}
	known, isProblem := errors.AsType[*Problem](err)
	refused, isRefusal := errors.AsType[*jobs.Error](err)
	stopped, isStopped := errors.AsType[*auth.Error](err)
	switch {
	case isProblem:
		*p = *known
	case isRefusal:
		*p = refusalOf(refused)
	case isStopped:
		*p = Problem{Code: authCodes[stopped.Reason], Detail: stopped.Message, challenge: stopped.Challenge(), cause: stopped.Cause}
	case errors.Is(err, echo.ErrNotFound):
		p.Code, p.Detail = notFound, "no route of this service has this path; /docs shows those it has"
	case errors.Is(err, echo.ErrMethodNotAllowed):
		p.Code, p.Detail = methodNotAllowed, "this path does not take this method; the Allow header lists those it takes"
	case errors.Is(err, context.Canceled):
		p.Code, p.Detail = clientGone, "the client hung up before the answer"
	default:
		p.Code, p.cause = internalError, err
	}
	if _, known := classes[p.Code]; !known {
		*p = Problem{Code: internalError, cause: fmt.Errorf("code %q has no HTTP form: %w", p.Code, err)}
	}
	if p.Code == internalError {
		p.Detail = "the gateway met a condition it does not know; its log has the cause under this request_id"
	}
	c := classes[p.Code]
	p.Type, p.Title, p.Status = problemPath(p.Code), c.title, c.status
	return p
}

// authCodes are the codes of the guard's reasons.
var authCodes = map[auth.Reason]jobs.Code{
	auth.Missing: unauthenticated, auth.Invalid: unauthenticated, auth.Forbidden: insufficientScope, auth.Unavailable: authUnavailable,
}

func refusalOf(e *jobs.Error) Problem {
	p := Problem{Code: e.Code, Detail: e.Message, Known: e.Known, JobIDs: e.JobIDs, cause: e.Cause}
	if len(p.Known) > 0 {
		p.Detail += "; known: " + strings.Join(p.Known, ", ")
	}
	for _, f := range e.Fields {
		p.Errors = append(p.Errors, ProblemField{Pointer: f.Pointer, Detail: f.Detail})
	}
	return p
}

// answerProblem writes the problem that err stands for and returns it. It writes nothing once an
// answer has begun.
func answerProblem(c echo.Context, err error) *Problem {
	p := ProblemOf(err)
	p.RequestID = RequestID(c)
	if c.Response().Committed {
		return p
	}
	p.prepare(c.Response().Header())
	body, err := json.Marshal(p)
	if err != nil {
		p.cause = errors.Join(p.cause, fmt.Errorf("writing a problem: %w", err))
	}
	if err := c.Blob(p.Status, "application/problem+json", append(body, '\n')); err != nil {
		p.cause = errors.Join(p.cause, fmt.Errorf("sending a problem: %w", err))
	}
	return p
}

// prepare sets the headers that go with the problem, in whatever form it is told.
func (p *Problem) prepare(header http.Header) {
	header.Set(echo.HeaderCacheControl, "no-store")
	header.Del(headerETag)
	if p.Code == jobs.Conflicting && len(p.JobIDs) > 0 {
		header.Set(echo.HeaderLocation, jobPath(p.JobIDs[0]))
		linkJobs(header, p.JobIDs)
	}
	if p.challenge != "" {
		header.Set(echo.HeaderWWWAuthenticate, p.challenge)
	}
	if after := max(p.retryAfter, classes[p.Code].retryAfter); after > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(after))
	}
}
