package api

import (
	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/auth"
)

// OpenToAll is the need of a route that asks nobody who they are.
const OpenToAll auth.Scope = ""

// authenticate lets a request through to a route that is open, or when its caller is known and has
// the scope that the route needs. It stands before the handlers, and so before any body is read.
// Where there is no route, a stranger learns no more than that: they are asked who they are first.
func (a *API) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		need, declared := a.need(c)
		if declared && need == OpenToAll {
			return next(c)
		}
		caller, err := a.guard.Authenticate(r.Context(), r.Header)
		if err != nil {
			return err
		}
		c.Set(callerKey, caller) // before the refusal, which tells whom it hit
		if declared {
			if err := caller.Require(need); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// callerKey is where the caller is kept in Echo's context.
const callerKey = "caller"

// Caller returns who makes the request and what they may do; nobody, with no scope, on a route that is
// open to all.
func Caller(c echo.Context) auth.Caller {
	caller, _ := c.Get(callerKey).(auth.Caller)
	return caller
}

// Subject returns who makes the request.
func Subject(c echo.Context) string { return Caller(c).Subject }
