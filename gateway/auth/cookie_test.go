package auth

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/auth/authtest"
)

// withCookies is the header of a browser that sends the cookies.
func withCookies(cookies ...*http.Cookie) http.Header {
	r := http.Request{Header: http.Header{}}
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	return r.Header
}

func TestCookie(t *testing.T) {
	issuer := authtest.New(t)
	for mode, want := range map[string]string{"development": "ingesta_token", "production": "__Host-ingesta_token"} {
		g, _ := guarding(t, time.Now, append(issuer.Environ(), "INGESTA_ENV="+mode)...)
		end := time.Now().Add(time.Hour).Truncate(time.Second)
		claims := issuer.Claims("ana", "ingesta:read")
		claims["exp"] = end.Unix()
		cookie := g.Cookie(issuer.RS256(claims))
		if cookie.Name != want || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" || cookie.Secure != (mode == "production") {
			t.Errorf("%s: the cookie is %v", mode, cookie)
		}
		if !cookie.Expires.Equal(end) {
			t.Errorf("%s: the cookie ends at %v, the token at %v: want the same", mode, cookie.Expires, end)
		}
		if caller, err := g.Authenticate(t.Context(), withCookies(cookie)); err != nil || caller.Subject != "ana" || !caller.Has(Read) || caller.Has(Run) {
			t.Errorf("%s: the cookie is of %+v, %v", mode, caller, err)
		}
		cleared := g.ClearCookie()
		if cleared.Name != want || cleared.Value != "" || cleared.MaxAge >= 0 || cleared.Path != "/" {
			t.Errorf("%s: what clears the cookie is %v", mode, cleared)
		}
		if caller, err := presentHeader(t, g, withCookies(cleared)); err == nil || err.Reason != Missing {
			t.Errorf("%s: an empty cookie is of %+v, %v; want it to count as none", mode, caller, err)
		}
	}
}

func TestCookieIsCheckedLikeTheHeader(t *testing.T) {
	issuer := authtest.New(t)
	g, _ := guarding(t, time.Now, issuer.Environ()...)
	for _, forgery := range issuer.Forgeries() {
		_, err := presentHeader(t, g, withCookies(&http.Cookie{Name: "ingesta_token", Value: forgery.Token}))
		if err == nil || err.Reason != Invalid && err.Reason != Missing {
			t.Errorf("%s: %v, want a refusal", forgery.Name, err)
		}
		if _, err := g.Check(t.Context(), forgery.Token); err == nil {
			t.Errorf("%s: Check lets it in", forgery.Name)
		}
	}
}

func TestHeaderCountsBeforeCookie(t *testing.T) {
	issuer := authtest.New(t)
	g, _ := guarding(t, time.Now, issuer.Environ()...)
	good := g.Cookie(issuer.RS256(issuer.Claims("ana")))
	header := withCookies(good)
	header.Set("Authorization", "Bearer "+issuer.RS256(issuer.Claims("eva")))
	if caller, err := presentHeader(t, g, header); err != nil || caller.Subject != "eva" {
		t.Errorf("the caller is %+v, %v; want eva, whom the header names", caller, err)
	}
	header.Set("Authorization", "Bearer nonsense")
	if caller, err := presentHeader(t, g, header); err == nil {
		t.Errorf("a bad header beside a good cookie is of %+v, want a refusal", caller)
	}
	if caller, err := presentHeader(t, g, withCookies(good, good)); err == nil || !strings.Contains(err.Message, "twice") {
		t.Errorf("two cookies are of %+v, %v; want a refusal", caller, err)
	}
}

func TestCheck(t *testing.T) {
	issuer := authtest.New(t)
	g, _ := guarding(t, time.Now, issuer.Environ()...)
	if !g.Asks() {
		t.Error("the guard says it asks for no token")
	}
	if caller, err := g.Check(t.Context(), issuer.ES256(issuer.Claims("ana"))); err != nil || caller.Subject != "ana" {
		t.Errorf("a good token is of %+v, %v", caller, err)
	}
	large := issuer.Claims("ana")
	large["groups"] = strings.Repeat("g", 4000)
	for token, want := range map[string]string{
		"":                        "there is no token",
		strings.Repeat("a", 9000): "more than 8192 bytes",
		issuer.ES256(large):       "more than browsers keep",
	} {
		_, err := g.Check(t.Context(), token)
		if refused, ok := errors.AsType[*Error](err); !ok || !strings.Contains(refused.Message, want) {
			t.Errorf("a token of %d bytes: %v, want one that says %q", len(token), err, want)
		}
	}
	open, _ := guarding(t, time.Now, "AUTH_MODE=none")
	if caller, err := open.Check(t.Context(), "anything"); open.Asks() || err != nil || caller.Subject != Anyone {
		t.Errorf("a guard that asks nobody: %t, %+v, %v", open.Asks(), caller, err)
	}
}
