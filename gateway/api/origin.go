package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// What scripts of other origins may send and read, beyond what browsers let them anyway.
var (
	methodsOfOrigins = strings.Join([]string{http.MethodGet, http.MethodHead, http.MethodPost}, ", ")

	headersOfOrigins = strings.Join([]string{
		echo.HeaderAccept, echo.HeaderAuthorization, echo.HeaderContentType, headerIdempotencyKey, headerIfNoneMatch, headerLastEventID,
		headerPrefer, headerTraceparent, headerTracestate, echo.HeaderXCorrelationID, echo.HeaderXRequestID,
	}, ", ")

	headersForOrigins = strings.Join([]string{
		echo.HeaderAllow, headerETag, headerIdempotencyReplayed, headerLink, echo.HeaderLocation, headerPreferenceApplied, headerRateLimit,
		headerRateLimitPolicy, echo.HeaderRetryAfter, echo.HeaderWWWAuthenticate, echo.HeaderXCorrelationID, echo.HeaderXRequestID,
	}, ", ")
)

// preflightAge is how long browsers remember the answer to a preflight, in seconds.
const preflightAge = "600"

// origins tells browsers what pages of the configured origins may do (CORS), and refuses what a page of
// any other had one send: there, the user's browser acts for somebody else. What no browser sends carries
// neither Origin nor Sec-Fetch-Site, and passes.
//
// Credentials are not among what pages of other origins may use: the dashboard's cookie is for its own
// pages, and everybody else sends a token.
func (a *API) origins(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, header := c.Request(), c.Response().Header()
		if len(a.cfg.Origins) > 0 {
			header.Add(echo.HeaderVary, echo.HeaderOrigin)
		}
		if origin := r.Header.Get(echo.HeaderOrigin); slices.Contains(a.cfg.Origins, origin) {
			header.Set(echo.HeaderAccessControlAllowOrigin, origin)
			if r.Method == http.MethodOptions && r.Header.Get(echo.HeaderAccessControlRequestMethod) != "" {
				header.Set(echo.HeaderAccessControlAllowMethods, methodsOfOrigins)
				header.Set(echo.HeaderAccessControlAllowHeaders, headersOfOrigins)
				header.Set(echo.HeaderAccessControlMaxAge, preflightAge)
				return c.NoContent(http.StatusNoContent)
			}
			header.Set(echo.HeaderAccessControlExposeHeaders, headersForOrigins)
		}
		if err := a.protection.Check(r); err != nil {
			p := fault(crossOrigin, "a page of another origin has had a browser send this; the gateway takes that from its own pages and from the origins it is configured to trust")
			p.cause = err
			return p
		}
		return next(c)
	}
}

// newProtection returns what tells requests that pages of other origins had browsers send.
func newProtection(trusted Origins) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	for _, origin := range trusted {
		if err := p.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return p, nil
}
