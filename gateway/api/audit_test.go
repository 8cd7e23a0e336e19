package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

var someOrder = jobs.Order{Database: ingest.MySQL}

// audited returns the audit lines of the log.
func audited(t *testing.T, logs *logBuffer) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(logs.String()) {
		var said map[string]any
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatal(err)
		}
		if said["msg"] == "audit" {
			lines = append(lines, said)
		}
	}
	return lines
}

func TestAudit(t *testing.T) {
	fake := &fakeJobs{job: jobOf(someOrder, someID)}
	a, logs, bearer := guarded(t, fake)
	ana, luz := bearer("ana", "ingesta:run"), bearer("luz", "ingesta:read")
	tests := []struct {
		name         string
		method, path string
		body         string
		headers      []string
		want         map[string]any // nil: no line
	}{
		{"a job", "POST", "/api/ingesta/mysql", `{"datasets":["users"]}`, []string{ana, "X-Correlation-Id: c-1"}, map[string]any{
			"action": "submit", "subject": "ana", "status": 202.0, "database": "mysql", "datasets": []any{"users"}, "job_ids": []any{someID}, "correlation_id": "c-1",
		}},
		{"all", "POST", "/api/ingesta", "", []string{ana}, map[string]any{"action": "submit_all", "subject": "ana", "status": 202.0, "job_ids": []any{someID, someID, someID}}},
		{"a cancellation", "POST", "/api/ingesta/jobs/" + someID + "/cancel", "", []string{ana}, map[string]any{"action": "cancel", "subject": "ana", "status": 202.0, "job_ids": []any{someID}, "database": "mysql"}},
		{"a retry", "POST", "/api/ingesta/jobs/" + someID + "/retry", "", []string{ana}, map[string]any{"action": "retry", "subject": "ana", "status": 202.0, "job_ids": []any{someID}}},
		{"a replay", "POST", "/api/ingesta/dead-letters/" + someLetter + "/replay", "", []string{ana}, map[string]any{"action": "replay", "subject": "ana", "status": 202.0, "dead_letter": someLetter, "job_ids": []any{someID}, "database": "mysql"}},
		{"a stranger", "POST", "/api/ingesta/mysql", "", nil, map[string]any{"action": "submit", "subject": "", "status": 401.0, "code": "unauthenticated"}},
		{"one who may not", "POST", "/api/ingesta/mysql", "", []string{luz}, map[string]any{"action": "submit", "subject": "luz", "status": 403.0, "code": "insufficient_scope"}},
		{"a page of others", "POST", "/api/ingesta/mysql", "", []string{ana, "Sec-Fetch-Site: cross-site"}, map[string]any{"action": "submit", "subject": "", "status": 403.0, "code": "cross_origin"}},
		{"a mistake", "POST", "/api/ingesta/mysql", `{"sql":"s3cret"}`, []string{ana}, map[string]any{"action": "submit", "subject": "ana", "status": 400.0, "code": "invalid_body"}},
		{"no database", "POST", "/api/ingesta/oracle", "", []string{ana}, map[string]any{"action": "submit", "subject": "ana", "status": 404.0, "code": "unknown_database"}},
		{"a look", "GET", "/api/ingesta/jobs", "", []string{luz}, nil},
		{"a probe", "GET", "/health", "", nil, nil},
		{"nothing", "POST", "/nothing", "", []string{ana}, nil},
	}
	before := 0
	for _, tt := range tests {
		w := call(a, tt.method, tt.path, tt.body, tt.headers...)
		lines := audited(t, logs)[before:]
		before += len(lines)
		if tt.want == nil {
			if len(lines) > 0 {
				t.Errorf("%s: nothing is changed, and the audit has %v", tt.name, lines)
			}
			continue
		}
		if len(lines) != 1 {
			t.Errorf("%s: %d lines, want 1: %v", tt.name, len(lines), lines)
			continue
		}
		got := lines[0]
		want := maps.Clone(tt.want)
		want["path"], want["remote_ip"], want["request_id"] = tt.path, "192.0.2.1", w.Header().Get("X-Request-Id")
		for _, name := range []string{"time", "level", "msg"} {
			delete(got, name)
		}
		if left, right := canonical(t, got), canonical(t, want); left != right {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, left, right)
		}
	}
	for _, secretive := range []string{"s3cret", strings.TrimPrefix(ana, "Authorization: Bearer ")} {
		if strings.Contains(logs.String(), secretive) {
			t.Errorf("the log shows %q", secretive)
		}
	}
}

func canonical(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What a client sends is cut before it is logged, and other parts tell of their own deeds.
func TestAuditIsBounded(t *testing.T) {
	fake := &fakeJobs{}
	a, logs := newGuardedAPI(t, fake, api.Config{}, auth.Config{}, api.Route{
		Method: http.MethodPost, Path: "/run/:database", Need: auth.Run,
		Handle: func(c echo.Context) error {
			api.Note(c, api.Deed{Database: c.Param("database")})
			api.Note(c, api.Deed{JobIDs: []string{someID}})
			return c.Redirect(http.StatusSeeOther, "/jobs/"+someID)
		},
	})
	names := slices.Repeat([]string{strings.Repeat("x", 1000)}, 1000)
	body := canonical(t, map[string]any{"datasets": names})
	call(a, http.MethodPost, "/api/ingesta/mysql", body)
	call(a, http.MethodPost, "/run/mysql", "")
	lines := audited(t, logs)
	if len(lines) != 2 || len(canonical(t, lines[0])) > 10_000 {
		t.Fatalf("%d lines, the first of %d bytes", len(lines), len(canonical(t, lines[0])))
	}
	if got := lines[1]; got["action"] != "POST /run/:database" || got["database"] != "mysql" || canonical(t, got["job_ids"]) != `["`+someID+`"]` || got["status"] != 303.0 {
		t.Errorf("the deed of another part is %v", got)
	}
}

func TestAddresses(t *testing.T) {
	var proxies api.Networks
	if err := proxies.UnmarshalText([]byte("10.1.0.0/16, 2001:db8::/32")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		proxies      api.Networks
		peer, header string
		want         string
	}{
		{nil, "10.1.2.3:4", "203.0.113.9", "10.1.2.3"},
		{proxies, "10.1.2.3:4", "203.0.113.9", "203.0.113.9"},
		{proxies, "[2001:db8::1]:4", "203.0.113.9", "203.0.113.9"},
		{proxies, "10.1.2.3:4", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{proxies, "10.1.2.3:4", "203.0.113.9, 10.1.9.9", "203.0.113.9"},
		{proxies, "10.2.2.3:4", "203.0.113.9", "10.2.2.3"},
		{proxies, "127.0.0.1:4", "203.0.113.9", "127.0.0.1"},
		{proxies, "10.1.2.3:4", "nonsense", "10.1.2.3"},
	} {
		a, logs := newAPI(t, &fakeJobs{}, api.Config{Proxies: tt.proxies})
		r := httptest.NewRequest(http.MethodPost, "/api/ingesta/mysql", nil)
		r.RemoteAddr = tt.peer
		r.Header.Set("X-Forwarded-For", tt.header)
		a.ServeHTTP(httptest.NewRecorder(), r)
		if got := audited(t, logs)[0]["remote_ip"]; got != tt.want {
			t.Errorf("%s that speaks of %s, with the proxies %v: %s, want %s", tt.peer, tt.header, tt.proxies, got, tt.want)
		}
	}
}

func TestCorrelation(t *testing.T) {
	a, logs := newAPI(t, &fakeJobs{}, api.Config{})
	if got := call(a, "GET", "/api/ingesta/jobs", "", "X-Correlation-Id: order-7").Header().Get("X-Correlation-Id"); got != "order-7" {
		t.Errorf("it came back as %q", got)
	}
	if !strings.Contains(logs.String(), `"correlation_id":"order-7"`) {
		t.Errorf("the access log lacks it: %s", logs)
	}
	for _, unfit := range []string{"", "a b", "a\r\nSet-Cookie: x=1", strings.Repeat("x", 129)} {
		if _, ok := call(a, "GET", "/health", "", "X-Correlation-Id: "+unfit).Header()["X-Correlation-Id"]; ok {
			t.Errorf("%q came back", unfit)
		}
	}
}
