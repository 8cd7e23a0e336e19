package web

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/auth"
)

func TestStrangersAreSentToTheLogin(t *testing.T) {
	s := newSite(t, everything(), closed)
	for path, next := range map[string]string{
		"/": "/", "/jobs?status=error&database=mysql": "/jobs?status=error&database=mysql", "/jobs/" + id("3"): "/jobs/" + id("3"), "/datasets": "/datasets",
	} {
		w := s.get(path)
		location, err := url.Parse(w.Header().Get("Location"))
		if w.Code != http.StatusSeeOther || err != nil || location.Path != "/login" || location.Query().Get("next") != next {
			t.Errorf("%s: status %d to %v, want 303 to the login, and back", path, w.Code, location)
		}
		if w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: who brought no cookie is given %s", path, w.Header().Get("Set-Cookie"))
		}
		page := s.get(location.String())
		checkPage(t, page, "en")
		if byID(t, page.Body.String(), "nav") != nil {
			t.Error("the login page has a navigation that leads nowhere")
		}
	}
	if w := s.post("/jobs/"+id("2")+"/cancel", nil); w.Code != http.StatusSeeOther || !strings.Contains(w.Header().Get("Location"), url.QueryEscape("/jobs/"+id("2"))) || strings.Contains(w.Header().Get("Location"), "cancel") {
		t.Errorf("a form without a token answers %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := s.get("/live?page=overview"); w.Code != http.StatusUnauthorized {
		t.Errorf("a stream without a token answers %d, want 401", w.Code)
	}
}

func TestLogin(t *testing.T) {
	service := everything()
	s := newSite(t, service, closed)
	w := s.post("/login", url.Values{"token": {"  Bearer " + token(t, "ana", auth.Read, auth.Run) + "\n"}, "next": {"/jobs?status=error"}})
	cookie := w.Result().Cookies()[0]
	if w.Header().Get("Location") != "/jobs?status=error" || cookie.Name != "ingesta_token" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode ||
		cookie.Secure || cookie.Path != "/" || time.Until(cookie.Expires) > time.Hour {
		t.Errorf("the login answers %d to %q with the cookie %v", w.Code, w.Header().Get("Location"), cookie)
	}
	page := s.follow(w)
	checkPage(t, page, "en")
	shows(t, page, "logout", "ana", "Sign out")
	first := s.cookies[0].Value

	// A new login replaces the one before.
	w = s.post("/login", url.Values{"token": {token(t, "eva", auth.Read)}})
	s.keep(w)
	if len(s.cookies) != 1 || s.cookies[0].Value == first {
		t.Fatalf("after a second login the cookies are %v", s.cookies)
	}
	page = s.get("/")
	shows(t, page, "logout", "eva")
	shows(t, page, "may-not-run", "ingesta:run")
	for _, form := range []string{"run-all", "run-mysql"} {
		if byID(t, page.Body.String(), form) != nil {
			t.Errorf("who may only look is shown the form %s", form)
		}
	}
	for _, path := range []string{"/datasets", "/dead-letters", "/jobs/" + id("2"), "/jobs/" + id("5")} {
		page := s.get(path)
		checkPage(t, page, "en")
		if strings.Count(page.Body.String(), "<form") != 1 {
			t.Errorf("%s shows forms to who may only look", path)
		}
	}
	w = s.post("/run/mysql", nil)
	if w.Code != http.StatusForbidden || len(service.requests) > 0 {
		t.Errorf("a run without the scope answers %d, and made %v", w.Code, service.requests)
	}
	checkPage(t, w, "en")
	shows(t, w, "main", "You may not do this", "ingesta:run", "Sign in with another token")

	w = s.post("/logout", nil)
	page = s.follow(w)
	shows(t, page, "flash", "signed out")
	if w := s.get("/"); w.Code != http.StatusSeeOther {
		t.Errorf("after the logout the overview answers %d", w.Code)
	}
}

func TestBadTokensAtTheLogin(t *testing.T) {
	s := newSite(t, everything(), closed)
	good := token(t, "ana", auth.Read)
	parts := strings.Split(good, ".")
	expired, err := auth.Mint(closed, auth.Claims{Subject: "ana", Scopes: []auth.Scope{auth.Read}, TTL: time.Hour}, time.Now().Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	otherSecret := closed
	otherSecret.Secret = "another secret of enough characters"
	forged, err := auth.Mint(otherSecret, auth.Claims{Subject: "ana", Scopes: []auth.Scope{auth.Admin}, TTL: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	for name, test := range map[string]struct {
		token  string
		status int
		says   string
	}{
		"none at all":     {"", 401, "There is no token"},
		"nonsense":        {"<script>", 401, "malformed"},
		"expired":         {expired, 401, "expired"},
		"forged":          {forged, 401, "signature"},
		"unsigned":        {none, 401, "not signed with HS256"},
		"may not look":    {token(t, "ana", auth.Run), 403, "ingesta:read"},
		"longer than any": {strings.Repeat("a", 9000), 401, "8192"},
	} {
		w := s.post("/login", url.Values{"token": {test.token}, "next": {"/jobs"}})
		if w.Code != test.status || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: status %d with cookies %v, want %d and none", name, w.Code, w.Result().Cookies(), test.status)
		}
		checkPage(t, w, "en")
		shows(t, w, "login-error", test.says)
		if test.token != "" && strings.Contains(w.Body.String(), test.token) {
			t.Errorf("%s: the page shows the token", name)
		}
		if field := byID(t, w.Body.String(), "login"); field == nil || !strings.Contains(w.Body.String(), `name="next" value="/jobs"`) {
			t.Errorf("%s: the page has forgotten where to go on", name)
		}
	}
	large := url.Values{"token": {strings.Repeat("a", largestForm)}}
	if w := s.post("/login", large); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a form that is too large answers %d", w.Code)
	}
}

// A cookie whose token is no good any more is taken away, by the way to the login.
func TestSpoiltCookie(t *testing.T) {
	s := newSite(t, everything(), closed)
	s.cookies = []*http.Cookie{{Name: "ingesta_token", Value: "spoilt"}}
	page := s.follow(s.get("/jobs"))
	if page.Code != http.StatusOK || len(s.cookies) > 0 {
		t.Errorf("status %d, and the cookies are %v", page.Code, s.cookies)
	}
}

func TestLoginLeadsNowhereElse(t *testing.T) {
	for next, want := range map[string]string{
		"/jobs": "/jobs", "/jobs?a=b&c=%2F": "/jobs?a=b&c=%2F", "/": "/", "": "/", "/jobs#part": "/jobs",
		"https://elsewhere.example": "/", "//elsewhere.example": "/", "///elsewhere.example": "/", "/\\elsewhere.example": "/", "\\\\elsewhere.example": "/",
		"https:elsewhere.example": "/", "javascript:alert(1)": "/", "jobs": "/", "/\t/elsewhere.example": "/", "/\n/elsewhere.example": "/", "\u0020//elsewhere.example": "/",
		"/login?next=/x": "/", "/logout": "/", "/%zz": "/", "http://user@/": "/", "/%2F/elsewhere.example": "/", "/%5Celsewhere.example": "/%5Celsewhere.example",
	} {
		if got := local(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
	s := newSite(t, everything(), closed)
	w := s.post("/login", url.Values{"token": {token(t, "ana", auth.Read)}, "next": {"//elsewhere.example/"}})
	if w.Header().Get("Location") != "/" {
		t.Errorf("the login leads to %q", w.Header().Get("Location"))
	}
}

func TestNoLoginWithoutTokens(t *testing.T) {
	s := newSite(t, everything(), auth.Config{})
	if w := s.get("/login"); w.Header().Get("Location") != "/" {
		t.Errorf("the login of a gateway that asks nobody answers %d", w.Code)
	}
	if w := s.get("/"); byID(t, w.Body.String(), "logout") != nil {
		t.Error("there is a way out where there was none in")
	}
}

// HEAD answers as GET does, which leads back to the page that was asked for.
func TestHeadLeadsToTheLoginAsGetDoes(t *testing.T) {
	s := newSite(t, everything(), closed)
	for _, path := range []string{"/jobs?status=error", "/jobs/" + id("2"), "/"} {
		get, head := s.get(path), s.send(httptest.NewRequest(http.MethodHead, path, nil))
		if got, want := head.Header().Get("Location"), get.Header().Get("Location"); got != want {
			t.Errorf("HEAD %s leads to %s, GET to %s", path, got, want)
		}
	}
}
