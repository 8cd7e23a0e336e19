package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/jobs"
)

// alive answers GET /health: the process serves. It asks no dependency, so that the failure of
// one never has the gateway restarted.
func (a *API) alive(c echo.Context) error {
	return answer(c, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers GET /ready: a request could be accepted now.
func (a *API) ready(c echo.Context) error {
	if a.draining.Err() != nil {
		return fault(notReady, "the gateway is shutting down")
	}
	if err := a.health.Ready(c.Request().Context()); err != nil {
		return fault(notReady, "%v", err)
	}
	if err := a.guard.Ready(); err != nil {
		return fault(notReady, "%v", err)
	}
	return answer(c, http.StatusOK, map[string]string{"status": "ready"})
}

// report answers GET /api/ingesta/health: each dependency by itself.
func (a *API) report(c echo.Context) error {
	health := a.health.Health(c.Request().Context())
	status := http.StatusOK
	if health.Status != jobs.Up {
		status = http.StatusServiceUnavailable
		c.Response().Header().Set(echo.HeaderRetryAfter, "5")
	}
	return answer(c, status, health)
}
