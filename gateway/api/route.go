package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/auth"
)

// Route is served by another part of the gateway, behind the same middleware as the API's own:
// request ids, access log, metrics, authentication and panics are none of its concern. A route of
// GET serves HEAD too.
type Route struct {
	Method string
	Path   string     // in Echo's form: /jobs/:id
	Need   auth.Scope // what the caller must be allowed to do, or OpenToAll
	Handle echo.HandlerFunc

	// Stream says that an answer may go on for as long as the client listens: no timeout of the server
	// cuts it, and the request's context ends with the caller's token, or when the gateway is about to stop.
	Stream bool

	// Refuse answers a request that failed, in Handle or before it, instead of the problem as JSON.
	// It is given what that would say, with its request id. Nil for the JSON.
	Refuse func(c echo.Context, p *Problem) error
}

// home is the path that belongs to people and to programs: see wantsIndex.
const home = "/"

// wantsIndex reports whether a request for the home path names JSON among what it accepts. Browsers
// do not, and what accepts anything gets the page for people.
func wantsIndex(r *http.Request) bool {
	for _, accepted := range splitUnquoted(strings.Join(r.Header.Values(echo.HeaderAccept), ","), ',') {
		media, _, _ := strings.Cut(accepted, ";")
		if strings.EqualFold(strings.TrimSpace(media), echo.MIMEApplicationJSON) {
			return true
		}
	}
	return false
}

// wantsPage reports whether somebody in front of a browser asks for a page: they get to know as people
// do that there is none.
func wantsPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/api/") &&
		strings.Contains(r.Header.Get(echo.HeaderAccept), echo.MIMETextHTML)
}

// add registers the routes of other parts. Where one is at the home path, the service index is left
// to those who ask for JSON.
func (a *API) add(routes []Route) {
	for _, r := range routes {
		handle, methods := r.Handle, []string{r.Method}
		if r.Method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		if r.Path == home {
			handle = func(c echo.Context) error {
				c.Response().Header().Add(echo.HeaderVary, echo.HeaderAccept)
				if wantsIndex(c.Request()) {
					return a.index(c)
				}
				return r.Handle(c)
			}
		}
		if r.Stream {
			handle = a.stream(handle)
		}
		for _, method := range methods {
			a.echo.Add(method, r.Path, handle)
			name := method + " " + r.Path
			a.needs[name] = r.Need
			if r.Refuse != nil {
				a.refusals[name] = r.Refuse
			}
		}
	}
}

// stream lets a handler go on until the client leaves, the caller's token ends or the gateway is about to
// stop. Who comes back after the second shows a new token.
func (a *API) stream(handle echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		a.streams.Inc()
		defer a.streams.Dec()
		c.Set(streamKey, true)
		if err := allowForever(c); err != nil {
			return fmt.Errorf("lifting the timeouts of a stream: %w", err)
		}
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer cancel()
		defer context.AfterFunc(a.draining, cancel)()
		if until := Caller(c).Until; !until.IsZero() {
			defer time.AfterFunc(time.Until(until), cancel).Stop()
		}
		c.SetRequest(c.Request().WithContext(ctx))
		return handle(c)
	}
}

// streamKey marks a request in Echo's context as one that takes as long as its client listens.
const streamKey = "stream"

// need returns what the caller of the matched route must be allowed to do, and whether there is such
// a route.
func (a *API) need(c echo.Context) (scope auth.Scope, declared bool) {
	scope, declared = a.needs[routeName(c)]
	if declared && c.Path() == home && wantsIndex(c.Request()) {
		scope = OpenToAll
	}
	return scope, declared
}

func routeName(c echo.Context) string { return c.Request().Method + " " + c.Path() }
