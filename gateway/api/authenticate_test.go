package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

const secret = "0123456789abcdef0123456789abcdef"

// guarded returns an API that asks for tokens, and what makes the header with a good one.
func guarded(t *testing.T, fake *fakeJobs) (a *api.API, logs *logBuffer, bearer func(subject string, scopes ...string) string) {
	t.Helper()
	issuer := authtest.New(t)
	a, logs = newGuardedAPI(t, fake, api.Config{}, auth.Config{Mode: auth.JWT, Secret: secret, Issuer: "us", Audience: authtest.Audience})
	return a, logs, func(subject string, scopes ...string) string {
		claims := issuer.Claims(subject, scopes...)
		claims["iss"] = "us"
		return "Authorization: Bearer " + issuer.HS256(claims, secret)
	}
}

// needs are the scopes of all routes. Who adds a route decides here who may use it.
var needs = map[string]string{
	"GET /":        "",
	"GET /health":  "",
	"GET /ready":   "",
	"GET /metrics": "",

	"POST /api/ingesta":                 "ingesta:run",
	"POST /api/ingesta/:database":       "ingesta:run",
	"POST /api/ingesta/jobs/:id/cancel": "ingesta:run",
	"POST /api/ingesta/jobs/:id/retry":  "ingesta:run",

	"POST /api/ingesta/dead-letters/:id/replay": "ingesta:run",

	"GET /api/ingesta/datasets":     "ingesta:read",
	"GET /api/ingesta/dead-letters": "ingesta:read",
	"GET /api/ingesta/health":       "ingesta:read",
	"GET /api/ingesta/jobs":         "ingesta:read",
	"GET /api/ingesta/jobs/:id":     "ingesta:read",

	"GET /api/ingesta/events":                           "ingesta:read",
	"GET /api/ingesta/jobs/:id/events":                  "ingesta:read",
	"GET /api/ingesta/jobs/:id/datasets/:name/download": "ingesta:read",
	"GET /api/ingesta/datasets/:database/:name/ddl":     "ingesta:read",
}

func TestEveryRouteHasItsScope(t *testing.T) {
	fake := &fakeJobs{health: jobs.Health{Status: jobs.Up}, job: exported(), latest: map[ingest.Database]map[string]jobs.Exported{
		ingest.MySQL: {"users": {JobID: someID, Result: exported().Results[0]}},
	}}
	a, _, bearer := guarded(t, fake)
	others := map[string]string{"ingesta:run": "ingesta:read", "ingesta:read": "ingesta:run"}
	walked := map[string]bool{}
	for _, route := range a.Routes() {
		t.Run(route, func(t *testing.T) {
			method, path, _ := strings.Cut(route, " ")
			documented := strings.Replace(route, "HEAD ", "GET ", 1)
			walked[documented] = true
			need, known := needs[documented]
			if declared, ok := a.Needs(route); !known || !ok || declared != need {
				t.Fatalf("the route declares the need %q (%t), this test %q (%t): want both to, and the same", declared, ok, need, known)
			}
			target := strings.NewReplacer(":database", "mysql", ":name", "users", "dead-letters/:id", "dead-letters/"+someLetter, ":id", someID).Replace(path)
			ask := func(headers ...string) *httptest.ResponseRecorder { return call(a, method, target, "", headers...) }
			if need == "" {
				if w := ask(); w.Code != 200 {
					t.Errorf("an open route answers a stranger %d: %s", w.Code, w.Body)
				}
				return
			}
			before := len(fake.submitted()) + len(fake.cancels) + len(fake.queries) + len(fake.limits)
			if w := ask(); w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Bearer realm="ingesta"` {
				t.Errorf("a stranger got %d, %v", w.Code, w.Header())
			}
			for _, scopes := range [][]string{nil, {"openid", "ingesta"}, {others[need]}} {
				w := ask(bearer("ana", scopes...))
				want := `Bearer realm="ingesta", error="insufficient_scope", error_description="the token lacks the scope ` + need + `", scope="` + need + `"`
				if w.Code != 403 || w.Header().Get("WWW-Authenticate") != want {
					t.Errorf("with %q: %d, %v; want 403 and %s", scopes, w.Code, w.Header(), want)
				}
				if method != "HEAD" {
					wantProblem(t, w, 403, "insufficient_scope")
				}
			}
			if after := len(fake.submitted()) + len(fake.cancels) + len(fake.queries) + len(fake.limits); after != before {
				t.Error("the refused reached the handler")
			}
			for _, scope := range []string{need, "ingesta:admin"} {
				if w := ask(bearer("ana", scope)); w.Code >= 400 {
					t.Errorf("with %s: %d: %s", scope, w.Code, w.Body)
				}
			}
		})
	}
	for route := range needs {
		if !walked[route] {
			t.Errorf("there is no route %s", route)
		}
	}
}

func TestStrangersLearnNothing(t *testing.T) {
	a, _, bearer := guarded(t, &fakeJobs{})
	for _, tt := range []struct {
		method, target string
		known          int // the status for those who are known
	}{
		{"GET", "/nothing", 404}, {"GET", "/api/ingesta/oracle", 404}, {"DELETE", "/api/ingesta/jobs", 405}, {"OPTIONS", "/api/ingesta", 204},
		{"POST", "/health", 405}, {"POST", "/api/ingesta/jobs", 405}, {"GET", "//health", 404}, {"GET", "/HEALTH", 404}, {"GET", "/health/../api/ingesta/jobs", 404},
	} {
		if w := call(a, tt.method, tt.target, ""); w.Code != 401 {
			t.Errorf("%s %s: a stranger got %d", tt.method, tt.target, w.Code)
		}
		if w := call(a, tt.method, tt.target, "", bearer("ana", "ingesta:run")); w.Code != tt.known {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.target, w.Code, tt.known)
		}
	}
	if w := call(a, "GET", "/api/ingesta/jobs/", ""); w.Code != 401 {
		t.Errorf("with a slash at its end: %d", w.Code)
	}
	if w := call(a, "GET", "/health/", ""); w.Code != 200 {
		t.Errorf("an open route with a slash at its end: %d", w.Code)
	}
}

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body of a stranger was read")
	return 0, errors.New("not to be read")
}

func TestBadTokens(t *testing.T) {
	fake := &fakeJobs{}
	a, logs, bearer := guarded(t, fake)
	good := bearer("ana", "ingesta:admin")
	tests := []struct {
		name      string
		header    string // of Authorization; empty: none
		query     string
		detail    string
		challenge string // after the realm
	}{
		{"none", "", "", "carries no token", ""},
		{"in the query", "", "?access_token=" + strings.TrimPrefix(good, "Authorization: Bearer "), "carries no token", ""},
		{"another scheme", "Authorization: Basic YW5hOmFuYQ==", "", "no bearer token", ""},
		{"malformed", "Authorization: Bearer sesame", "", "the token is malformed", `, error="invalid_token", error_description="the token is malformed"`},
		{"changed", good + "AAAA", "", "signature", `, error="invalid_token", error_description="the signature of the token is wrong"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/api/ingesta/mysql"+tt.query, io.NopCloser(unreadable{t}))
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if p := wantProblem(t, w, 401, "unauthenticated"); !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("the detail is %q, want %q in it", p.Detail, tt.detail)
			}
			if got, want := w.Header().Get("WWW-Authenticate"), `Bearer realm="ingesta"`+tt.challenge; got != want {
				t.Errorf("WWW-Authenticate is %q, want %q", got, want)
			}
		})
	}
	if n := len(fake.submitted()); n > 0 {
		t.Errorf("strangers made %d requests", n)
	}
	for _, secretive := range []string{good[len("Authorization: Bearer ")+40:], "sesame", "YW5h", secret} {
		if strings.Contains(logs.String(), secretive) {
			t.Errorf("the log shows %q: %s", secretive, logs.String())
		}
	}
}

func TestSubjectIsWhoAsks(t *testing.T) {
	fake := &fakeJobs{}
	a, _, bearer := guarded(t, fake)
	for _, target := range []string{"/api/ingesta/mysql", "/api/ingesta"} {
		if w := call(a, "POST", target, "", bearer("ana@example.com", "ingesta:run")); w.Code != 202 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
	}
	open, _ := newAPI(t, fake, api.Config{})
	call(open, "POST", "/api/ingesta/mysql", "", bearer("ana@example.com", "ingesta:run"))
	var got []string
	for _, request := range fake.submitted() {
		got = append(got, request.RequestedBy)
	}
	if want := "ana@example.com,ana@example.com,system"; strings.Join(got, ",") != want {
		t.Errorf("the requests are of %q, want %s", got, want)
	}
}

// Without the issuer's keys nobody can be let in: the gateway says so, and is not ready.
func TestIssuerAway(t *testing.T) {
	a, _ := newGuardedAPI(t, &fakeJobs{}, api.Config{}, auth.Config{Mode: auth.JWT, JWKSURL: "http://127.0.0.1:1/", Issuer: "us", Audience: "ingesta"})
	if p := wantProblem(t, call(a, "GET", "/ready", ""), 503, "not_ready"); !strings.Contains(p.Detail, "keys") {
		t.Errorf("the reason is %q", p.Detail)
	}
	if w := call(a, "GET", "/health", ""); w.Code != 200 {
		t.Errorf("/health says %d", w.Code)
	}
	issuer := authtest.New(t)
	w := call(a, "GET", "/api/ingesta/jobs", "", "Authorization: Bearer "+issuer.RS256(issuer.Claims("ana")))
	wantProblem(t, w, 503, "auth_unavailable")
	if got := w.Header().Get("WWW-Authenticate"); got != "" {
		t.Errorf("another token is asked for, and none would help: %s", got)
	}
}
