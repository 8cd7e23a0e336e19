package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The cookie that carries the token of somebody who works in a browser. The prefix of the second name
// makes browsers hold it to this host, to https and to the path /: no other host can plant one.
const (
	cookieName       = "ingesta_token"
	secureCookieName = "__Host-" + cookieName
)

// longestCookie is what browsers keep at most of a cookie, name and value together.
const longestCookie = 4096

// Asks reports whether callers must say who they are.
func (g *Guard) Asks() bool { return g.parser != nil }

// Check returns whose the token is. Its errors are those of Authenticate, and an *Error when the token
// is good but does not fit into a cookie.
func (g *Guard) Check(ctx context.Context, token string) (Caller, error) {
	if g.parser == nil {
		return everyone(), nil
	}
	switch {
	case token == "":
		return Caller{}, &Error{Reason: Missing, Message: "there is no token"}
	case len(token) > longestToken:
		return Caller{}, tooLong()
	}
	caller, err := g.check(ctx, token)
	if err == nil && len(g.cookieName())+len(token) > longestCookie {
		return Caller{}, invalid(fmt.Sprintf("the token has %d bytes, more than browsers keep: ask for one with fewer claims", len(token)))
	}
	return caller, err
}

// Cookie returns the cookie that carries the token from now on, in place of any before it. It ends
// with the token, which Check has let in.
func (g *Guard) Cookie(token string) *http.Cookie {
	cookie := g.cookie(token)
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err == nil {
		if end, err := claims.GetExpirationTime(); err == nil && end != nil {
			cookie.Expires = end.Time
		}
	}
	return cookie
}

// ClearCookie returns the cookie that makes a browser forget the token.
func (g *Guard) ClearCookie() *http.Cookie {
	cookie := g.cookie("")
	cookie.MaxAge, cookie.Expires = -1, time.Unix(0, 0)
	return cookie
}

func (g *Guard) cookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: g.cookieName(), Value: value, Path: "/", Secure: g.secure, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

func (g *Guard) cookieName() string {
	if g.secure {
		return secureCookieName
	}
	return cookieName
}

// carried returns the token of the cookie, empty without one, or an *Error: of two, one is not what
// this gateway gave out.
func (g *Guard) carried(header http.Header) (string, error) {
	cookies := (&http.Request{Header: header}).CookiesNamed(g.cookieName())
	switch {
	case len(cookies) == 0:
		return "", nil
	case len(cookies) > 1:
		return "", invalid("the cookie " + g.cookieName() + " is given twice")
	case len(cookies[0].Value) > longestToken:
		return "", tooLong()
	}
	return cookies[0].Value, nil
}
