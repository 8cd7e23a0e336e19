package api

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// Unchanged gives the answer its entity tag, of which it takes the opaque part, and reports whether the
// client has the answer of that tag already (If-None-Match): then 304 is all that it is to get.
func Unchanged(c echo.Context, tag string) bool {
	etag := `"` + tag + `"`
	c.Response().Header().Set(headerETag, etag)
	return noneMatch(c.Request().Header.Values(headerIfNoneMatch), etag)
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

// weaken turns the entity tag into a weak one: the same tag stands for the answer in every coding, and a
// strong one would promise the same bytes (RFC 9110, 8.8.1).
func weaken(header http.Header) {
	if tag := header.Get(headerETag); strings.HasPrefix(tag, `"`) {
		header.Set(headerETag, "W/"+tag)
	}
}
