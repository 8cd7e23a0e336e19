package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/auth"
)

// observe surrounds every request: it gives it an id, turns errors and panics into problems,
// counts it and writes its one line of log.
func (a *API) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		takeRequestID(c)
		takeCorrelationID(c)
		header := c.Response().Header()
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderCacheControl, "no-store")
		header.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'") // pages set their own
		header.Set(echo.HeaderReferrerPolicy, "no-referrer")

		var told *Problem
		if err := a.recovered(c, next); err != nil {
			told = a.answerError(c, a.named(c, err))
		}
		a.record(c, told, time.Since(start))
		a.audit(c, told)
		return nil
	}
}

// answerError answers the error in the way of its route.
func (a *API) answerError(c echo.Context, err error) *Problem {
	refuse := a.refusals[routeName(c)]
	if _, declared := a.needs[routeName(c)]; !declared && wantsPage(c.Request()) {
		refuse = a.refusals[http.MethodGet+" "+home]
	}
	if refuse == nil || c.Response().Committed {
		return answerProblem(c, err)
	}
	p := ProblemOf(err)
	p.RequestID = RequestID(c)
	p.prepare(c.Response().Header())
	if err := refuse(c, p); err != nil {
		p.cause = errors.Join(p.cause, fmt.Errorf("answering with a page: %w", err))
	}
	return p
}

// panicked is a handler's panic as an error.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovered runs the handler and returns its panic as an error, except the one by which a handler
// tells net/http to cut the connection.
func (a *API) recovered(c echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		switch value := recover(); value {
		case nil:
		case http.ErrAbortHandler:
			panic(value)
		default:
			err = &panicked{value: value, stack: debug.Stack()}
		}
	}()
	return next(c)
}

// named makes a name that is no database's say so, whatever the method: to the router every name
// under /api/ingesta is one.
func (a *API) named(c echo.Context, err error) error {
	if !errors.Is(err, echo.ErrMethodNotAllowed) || c.Path() != "/api/ingesta/:database" {
		return err
	}
	name := strings.TrimPrefix(c.Request().URL.Path, "/api/ingesta/")
	if slices.Contains(reserved, name) {
		return err
	}
	if unknown := a.checkDatabase(name); unknown != nil {
		c.Response().Header().Del(echo.HeaderAllow)
		return unknown
	}
	return err
}

// record counts the request and logs it.
func (a *API) record(c echo.Context, told *Problem, took time.Duration) {
	r, status := c.Request(), c.Response().Status
	route := c.Path()
	if !a.routes[route] {
		route = "unmatched" // labels must not grow with what clients think up
	}
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	a.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	if c.Get(streamKey) == nil {
		a.durations.WithLabelValues(method, route).Observe(took.Seconds())
	}

	attrs := []slog.Attr{
		slog.String("method", method), slog.String("path", cut(r.URL.Path)), slog.String("route", route),
		slog.Int("status", status), slog.Int64("bytes", c.Response().Size),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("request_id", RequestID(c)), slog.String("remote_ip", c.RealIP()),
	}
	if id := CorrelationID(c); id != "" {
		attrs = append(attrs, slog.String("correlation_id", id))
	}
	if job, ok := c.Get(jobKey).(jobAttrs); ok {
		attrs = append(attrs, slog.String("job_id", job.id), slog.String("database", job.database))
	}
	level := slog.LevelInfo
	switch {
	case route == "/health" || route == "/ready" || route == "/metrics":
		level = slog.LevelDebug
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	if told != nil {
		attrs = append(attrs, slog.String("code", string(told.Code)), slog.String("detail", told.Detail))
		if subject := Subject(c); subject != "" && subject != auth.Anyone { // who was refused can be found; who only looks leaves no name
			attrs = append(attrs, slog.String("subject", subject))
		}
		if told.cause != nil {
			attrs = append(attrs, slog.Any("error", told.cause))
		}
		var panicked *panicked
		if errors.As(told.cause, &panicked) {
			attrs = append(attrs, slog.String("stack", string(panicked.stack)))
		}
	}
	a.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request answered", attrs...)
}

// jobKey is where a handler leaves the job it dealt with, for the log.
const jobKey = "job"

type jobAttrs struct{ id, database string }

// cut shortens a client's text for the log and for messages.
func cut(s string) string {
	const most = 256
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
