package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer collects log lines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newAPI returns an API that lets everyone in.
func newAPI(t testing.TB, fake *fakeJobs, cfg api.Config) (*api.API, *logBuffer) {
	t.Helper()
	return newGuardedAPI(t, fake, cfg, auth.Config{})
}

func newGuardedAPI(t testing.TB, fake *fakeJobs, cfg api.Config, door auth.Config, routes ...api.Route) (*api.API, *logBuffer) {
	t.Helper()
	datasets, err := catalog.Load("")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.MaxWait == 0 {
		cfg.MaxWait = 5 * time.Minute
	}
	logs := &logBuffer{}
	log := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	guard := auth.New(door, time.Now, log)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { guard.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	a, err := api.New(cfg, api.Parts{
		Guard: guard, Jobs: fake, Health: fake, Downloads: fake, Template: ingest.DefaultKeyTemplate, Catalog: datasets, Version: "test", Registry: telemetry.NewRegistry(), Log: log,
	}, routes...)
	if err != nil {
		t.Fatal(err)
	}
	return a, logs
}

// problemBody is what the tests read of a problem.
type problemBody struct {
	Type, Title, Code, Detail string
	Status                    int
	RequestID                 string `json:"request_id"`
	Known                     []string
	JobIDs                    []string `json:"job_ids"`
	Errors                    []struct{ Pointer, Parameter, Header, Detail string }
}

// call sends a request; headers are "Name: value".
func call(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantProblem checks that an answer is a well-formed problem of the given status and code.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) problemBody {
	t.Helper()
	var p problemBody
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("the answer is not JSON: %v: %q", err, w.Body)
	}
	if w.Code != status || p.Status != status || p.Code != code {
		t.Errorf("status %d, in the body %d, code %q, want %d and %q: %s", w.Code, p.Status, p.Code, status, code, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
	if p.Type != "/problems/"+code || p.Title == "" || p.Detail == "" {
		t.Errorf("type, title or detail is not as promised: %s", w.Body)
	}
	if p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("request_id is %q, the header says %q: they must agree", p.RequestID, w.Header().Get("X-Request-Id"))
	}
	if retry := w.Header().Get("Retry-After"); (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) != (retry != "") {
		t.Errorf("Retry-After is %q with status %d: exactly 503 and 429 carry one", retry, status)
	}
	return p
}

func TestRequestsThatCannotBeMet(t *testing.T) {
	const jsonType = "Content-Type: application/json"
	long := strings.Repeat("x", 300)
	tests := []struct {
		name           string
		method, target string
		body           string
		headers        []string
		status         int
		code           string
		detail         string // part of it
		allow          string
	}{
		{name: "no such route", method: "GET", target: "/nothing", status: 404, code: "not_found"},
		{name: "no such route below a job", method: "POST", target: "/api/ingesta/jobs/" + someID + "/dance", status: 404, code: "not_found"},
		{name: "wrong method", method: "DELETE", target: "/api/ingesta/jobs", status: 405, code: "method_not_allowed", allow: "OPTIONS, GET, HEAD"},
		{name: "wrong method on a database", method: "GET", target: "/api/ingesta/mysql", status: 405, code: "method_not_allowed", allow: "OPTIONS, POST"},
		{name: "statement in no dialect", method: "GET", target: "/api/ingesta/datasets/mysql/users/ddl?dialect=oracle", status: 400, code: "invalid_parameter", detail: "dialect must be one of athena, duckdb"},
		{name: "statement in two dialects", method: "GET", target: "/api/ingesta/datasets/mysql/users/ddl?dialect=athena&dialect=duckdb", status: 400, code: "invalid_parameter", detail: "dialect is given twice"},
		{name: "statement of no database", method: "GET", target: "/api/ingesta/datasets/oracle/users/ddl", status: 404, code: "unknown_database"},
		{name: "statement of no dataset", method: "GET", target: "/api/ingesta/datasets/mysql/ofertas/ddl", status: 404, code: "dataset_not_found", detail: `"ofertas" of mysql; known: users, compras`},
		{name: "statement of what was never exported", method: "GET", target: "/api/ingesta/datasets/mysql/users/ddl", status: 409, code: "dataset_never_exported", detail: "has never been exported"},
		{name: "download of what is no job", method: "GET", target: "/api/ingesta/jobs/42/datasets/users/download", status: 404, code: "job_not_found"},
		{name: "download of no dataset", method: "GET", target: "/api/ingesta/jobs/" + someID + "/datasets/users/download", status: 404, code: "dataset_not_found"},
		{name: "POST to the events", method: "POST", target: "/api/ingesta/events", status: 405, code: "method_not_allowed", allow: "OPTIONS, GET, HEAD"},
		{name: "events of what is no job", method: "GET", target: "/api/ingesta/jobs/42/events", status: 404, code: "job_not_found"},
		{name: "events of an unknown database", method: "GET", target: "/api/ingesta/events?database=oracle", status: 400, code: "invalid_parameter", detail: "database must be one of mongodb, mysql, postgresql"},
		{name: "events of two databases", method: "GET", target: "/api/ingesta/events?database=mysql&database=mongodb", status: 400, code: "invalid_parameter", detail: "database is given twice"},
		{name: "POST to the list", method: "POST", target: "/api/ingesta/jobs", status: 405, code: "method_not_allowed", allow: "OPTIONS, GET, HEAD"},
		{name: "GET of all", method: "GET", target: "/api/ingesta", status: 405, code: "method_not_allowed", allow: "OPTIONS, POST"},
		{name: "unknown database", method: "POST", target: "/api/ingesta/oracle", status: 404, code: "unknown_database", detail: `"oracle"; known: mongodb, mysql, postgresql`},
		{name: "unknown database, other method", method: "GET", target: "/api/ingesta/oracle", status: 404, code: "unknown_database"},
		{name: "database in upper case", method: "POST", target: "/api/ingesta/MySQL", status: 404, code: "unknown_database"},
		{name: "unknown database before the body", method: "POST", target: "/api/ingesta/oracle", body: "{", status: 404, code: "unknown_database"},
		{name: "a job that is no UUID", method: "GET", target: "/api/ingesta/jobs/42", status: 404, code: "job_not_found"},
		{name: "a job in braces", method: "GET", target: "/api/ingesta/jobs/%7B" + someID + "%7D", status: 404, code: "job_not_found"},
		{name: "cancelling what is no job", method: "POST", target: "/api/ingesta/jobs/../cancel", status: 404, code: "job_not_found"},

		{name: "cut JSON", method: "POST", target: "/api/ingesta/mysql", body: `{"datasets":`, headers: []string{jsonType}, status: 400, code: "malformed_body", detail: "line 1, column 12"},
		{name: "trailing garbage", method: "POST", target: "/api/ingesta/mysql", body: "{}\n {}", headers: []string{jsonType}, status: 400, code: "malformed_body", detail: "line 2, column 2"},
		{name: "not UTF-8", method: "POST", target: "/api/ingesta/mysql", body: "{\"datasets\":[\"us\xffers\"]}", headers: []string{jsonType}, status: 400, code: "malformed_body", detail: "column 17: the byte 0xff is not UTF-8"},
		{name: "a list", method: "POST", target: "/api/ingesta/mysql", body: `["users"]`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "the body must be an object, not a list"},
		{name: "null", method: "POST", target: "/api/ingesta/mysql", body: `null`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "not null"},
		{name: "unknown field", method: "POST", target: "/api/ingesta/mysql", body: `{"dataset":["users"]}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/dataset is not a field of this request"},
		{name: "field in other case", method: "POST", target: "/api/ingesta/mysql", body: `{"Datasets":["users"]}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/Datasets"},
		{name: "field twice", method: "POST", target: "/api/ingesta/mysql", body: `{"datasets":["users"],"datasets":["compras"]}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/datasets is given twice"},
		{name: "wrong type", method: "POST", target: "/api/ingesta/mysql", body: `{"datasets":"users"}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/datasets must be a list of strings, not a string"},
		{name: "null list", method: "POST", target: "/api/ingesta/mysql", body: `{"datasets":null}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "not null"},
		{name: "wrong element", method: "POST", target: "/api/ingesta/mysql", body: `{"datasets":["users",7]}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/datasets/1 must be a string, not a number"},
		{name: "datasets for all databases", method: "POST", target: "/api/ingesta", body: `{"datasets":["users"]}`, headers: []string{jsonType}, status: 400, code: "invalid_body"},
		{name: "unknown conflict", method: "POST", target: "/api/ingesta/mysql", body: `{"on_conflict":"ignore"}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/on_conflict must be one of the strings [queue join reject]"},
		{name: "conflict in upper case", method: "POST", target: "/api/ingesta", body: `{"on_conflict":"JOIN"}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/on_conflict"},
		{name: "empty conflict", method: "POST", target: "/api/ingesta", body: `{"on_conflict":""}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/on_conflict"},
		{name: "null conflict", method: "POST", target: "/api/ingesta/mysql", body: `{"on_conflict":null}`, headers: []string{jsonType}, status: 400, code: "invalid_body", detail: "/on_conflict"},
		{name: "conflict of a retry", method: "POST", target: "/api/ingesta/jobs/" + someID + "/retry", body: `{"on_conflict":"join"}`, headers: []string{jsonType}, status: 400, code: "invalid_body"},
		{name: "conflict of a replay", method: "POST", target: "/api/ingesta/dead-letters/" + someLetter + "/replay", body: `{"on_conflict":"join"}`, headers: []string{jsonType}, status: 400, code: "invalid_body"},
		{name: "body to cancel", method: "POST", target: "/api/ingesta/jobs/" + someID + "/cancel", body: `{"why":"no"}`, headers: []string{jsonType}, status: 400, code: "invalid_body"},
		{name: "body to retry", method: "POST", target: "/api/ingesta/jobs/" + someID + "/retry", body: `{"datasets":["users"]}`, headers: []string{jsonType}, status: 400, code: "invalid_body"},
		{name: "retrying what is no job", method: "POST", target: "/api/ingesta/jobs/42/retry", status: 404, code: "job_not_found"},
		{name: "retrying by GET", method: "GET", target: "/api/ingesta/jobs/" + someID + "/retry", status: 405, code: "method_not_allowed", allow: "OPTIONS, POST"},
		{name: "retrying with a broken key", method: "POST", target: "/api/ingesta/jobs/" + someID + "/retry", headers: []string{"Idempotency-Key: a b"}, status: 400, code: "invalid_header"},
		{name: "body to replay", method: "POST", target: "/api/ingesta/dead-letters/" + someLetter + "/replay", body: `[]`, headers: []string{jsonType}, status: 400, code: "invalid_body"},
		{name: "replaying what is no letter", method: "POST", target: "/api/ingesta/dead-letters/" + someID + "/replay", status: 404, code: "dead_letter_not_found"},
		{name: "replaying a letter in upper case", method: "POST", target: "/api/ingesta/dead-letters/" + strings.ToUpper(someLetter) + "/replay", status: 404, code: "dead_letter_not_found"},
		{name: "POST to the dead letters", method: "POST", target: "/api/ingesta/dead-letters", status: 405, code: "method_not_allowed", allow: "OPTIONS, GET, HEAD"},
		{name: "too many dead letters", method: "GET", target: "/api/ingesta/dead-letters?limit=201", status: 400, code: "invalid_parameter", detail: "limit must be a number from 1 to 200"},
		{name: "dead letters, limit twice", method: "GET", target: "/api/ingesta/dead-letters?limit=1&limit=2", status: 400, code: "invalid_parameter", detail: "limit is given twice"},
		{name: "dead letters, query not well-formed", method: "GET", target: "/api/ingesta/dead-letters?limit=%zz", status: 400, code: "invalid_parameter", detail: "not well-formed"},
		{name: "form", method: "POST", target: "/api/ingesta/mysql", body: `datasets=users`, headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415, code: "unsupported_media_type"},
		{name: "broken media type", method: "POST", target: "/api/ingesta/mysql", body: `{}`, headers: []string{"Content-Type: ;;;"}, status: 415, code: "unsupported_media_type"},
		{name: "Latin-1", method: "POST", target: "/api/ingesta/mysql", body: `{}`, headers: []string{"Content-Type: application/json; charset=latin1"}, status: 415, code: "unsupported_media_type"},
		{name: "compressed", method: "POST", target: "/api/ingesta/mysql", body: `{}`, headers: []string{jsonType, "Content-Encoding: gzip"}, status: 415, code: "unsupported_media_type"},
		{name: "too large", method: "POST", target: "/api/ingesta/mysql", body: strings.Repeat(" ", 1<<20) + "{}", headers: []string{jsonType}, status: 413, code: "body_too_large"},
		{name: "too deep", method: "POST", target: "/api/ingesta/mysql", body: `{"datasets":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", headers: []string{jsonType}, status: 400, code: "malformed_body"},

		{name: "idempotency key too long", method: "POST", target: "/api/ingesta/mysql", headers: []string{"Idempotency-Key: " + long}, status: 400, code: "invalid_header", detail: "Idempotency-Key must"},
		{name: "idempotency key twice", method: "POST", target: "/api/ingesta/mysql", headers: []string{"Idempotency-Key: a", "Idempotency-Key: b"}, status: 400, code: "invalid_header"},
		{name: "idempotency key empty", method: "POST", target: "/api/ingesta/mysql", headers: []string{"Idempotency-Key: "}, status: 400, code: "invalid_header"},
		{name: "idempotency key with a break", method: "POST", target: "/api/ingesta/mysql", headers: []string{"Idempotency-Key: a\r\nX-Evil: 1"}, status: 400, code: "invalid_header"},

		{name: "limit zero", method: "GET", target: "/api/ingesta/jobs?limit=0", status: 400, code: "invalid_parameter", detail: "limit must be a number from 1 to 200"},
		{name: "limit in words", method: "GET", target: "/api/ingesta/jobs?limit=many", status: 400, code: "invalid_parameter"},
		{name: "status unknown", method: "GET", target: "/api/ingesta/jobs?status=done", status: 400, code: "invalid_parameter", detail: "status must be one of"},
		{name: "database unknown", method: "GET", target: "/api/ingesta/jobs?database=oracle", status: 400, code: "invalid_parameter"},
		{name: "query not well-formed", method: "GET", target: "/api/ingesta/jobs?cursor=%zz", status: 400, code: "invalid_parameter", detail: "not well-formed"},
		{name: "parameter twice", method: "GET", target: "/api/ingesta/jobs?status=queued&status=running", status: 400, code: "invalid_parameter", detail: "status is given twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fake := &fakeJobs{}
			a, _ := newAPI(t, fake, api.Config{})
			w := call(a, tt.method, tt.target, tt.body, tt.headers...)
			p := wantProblem(t, w, tt.status, tt.code)
			if !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("detail %q does not contain %q", p.Detail, tt.detail)
			}
			if got := w.Header().Get("Allow"); got != tt.allow {
				t.Errorf("Allow is %q, want %q", got, tt.allow)
			}
			if len(fake.submitted())+len(fake.cancels)+len(fake.limits) > 0 {
				t.Error("a refused request had an effect")
			}
		})
	}
}

// Every reason of package jobs has its place in HTTP, and what caused it stays inside.
func TestReasonsOfJobs(t *testing.T) {
	statuses := map[jobs.Code]int{
		jobs.UnknownDatabase: 404, jobs.UnknownDataset: 422, jobs.DuplicateDataset: 422, jobs.NoDatasets: 422,
		jobs.NotFound: 404, jobs.Over: 409, jobs.InvalidCursor: 400, jobs.IdempotencyMismatch: 422,
		jobs.StoreUnavailable: 503, jobs.BrokerUnavailable: 503, jobs.Unconfirmed: 503,
		jobs.Conflicting: 409, jobs.NotOver: 409, jobs.Succeeded: 409, jobs.DatabaseGone: 409, jobs.DatasetGone: 409,
		jobs.LetterNotFound: 404, jobs.LetterUnreadable: 409, jobs.LettersBusy: 503,
	}
	for _, code := range jobs.Codes() {
		t.Run(string(code), func(t *testing.T) {
			status, listed := statuses[code]
			if !listed {
				t.Fatalf("this test does not know what %s should be over HTTP", code)
			}
			refusal := &jobs.Error{
				Code: code, Message: "what the client may know", Known: []string{"users", "compras"},
				Fields: []jobs.Field{{Pointer: "/datasets/0", Detail: "is wrong"}}, JobIDs: []string{someID}, Cause: errSecret,
			}
			fake := &fakeJobs{err: refusal, submit: func(jobs.Request) (jobs.Receipt, error) { return jobs.Receipt{}, refusal }}
			a, logs := newAPI(t, fake, api.Config{})
			for _, w := range []*httptest.ResponseRecorder{
				call(a, "POST", "/api/ingesta/mysql", ""),
				call(a, "POST", "/api/ingesta", ""),
				call(a, "GET", "/api/ingesta/jobs/"+someID, ""),
				call(a, "GET", "/api/ingesta/jobs", ""),
				call(a, "GET", "/api/ingesta/jobs/"+someID+"/events", ""),
				call(a, "GET", "/api/ingesta/events", ""),
				call(a, "GET", "/api/ingesta/datasets/mysql/users/ddl", ""),
				call(a, "GET", "/api/ingesta/jobs/"+someID+"/datasets/users/download", ""),
				call(a, "POST", "/api/ingesta/jobs/"+someID+"/cancel", ""),
				call(a, "POST", "/api/ingesta/jobs/"+someID+"/retry", ""),
				call(a, "GET", "/api/ingesta/dead-letters", ""),
				call(a, "POST", "/api/ingesta/dead-letters/"+someLetter+"/replay", ""),
			} {
				p := wantProblem(t, w, status, string(code))
				if !strings.HasPrefix(p.Detail, "what the client may know; known: users, compras") {
					t.Errorf("detail is %q", p.Detail)
				}
				if len(p.Known) != 2 || len(p.JobIDs) != 1 || len(p.Errors) != 1 || p.Errors[0].Pointer != "/datasets/0" {
					t.Errorf("known, job_ids or errors got lost: %s", w.Body)
				}
				if strings.Contains(w.Body.String(), "hunter2") {
					t.Errorf("the cause leaked: %s", w.Body)
				}
			}
			if !strings.Contains(logs.String(), "hunter2") {
				t.Error("the cause is not in the log, where it is needed")
			}
		})
	}
}

func TestDefectsAreInternalErrors(t *testing.T) {
	tests := map[string]func(jobs.Request) (jobs.Receipt, error){
		"unknown error": func(jobs.Request) (jobs.Receipt, error) { return jobs.Receipt{}, errSecret },
		"unknown code": func(jobs.Request) (jobs.Receipt, error) {
			return jobs.Receipt{}, &jobs.Error{Code: "new", Message: "hunter2"}
		},
		"panic": func(jobs.Request) (jobs.Receipt, error) { panic("hunter2") },
		"runtime error": func(r jobs.Request) (jobs.Receipt, error) {
			return jobs.Receipt{Jobs: make([]ingest.Job, len(r.Orders)-2)}, nil
		},
		"panic of error": func(jobs.Request) (jobs.Receipt, error) { panic(errSecret) },
	}
	for name, submit := range tests {
		t.Run(name, func(t *testing.T) {
			a, logs := newAPI(t, &fakeJobs{submit: submit}, api.Config{})
			w := call(a, "POST", "/api/ingesta/mysql", "")
			p := wantProblem(t, w, 500, "internal_error")
			if strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "goroutine") {
				t.Errorf("the cause leaked: %s", w.Body)
			}
			if line := logs.String(); strings.Count(line, `"level":"ERROR"`) != 1 || !strings.Contains(line, p.RequestID) || strings.Count(line, "\n") != 2 {
				t.Errorf("want one error line with the request's id, and the audit's, got %q", line)
			}
			if strings.Contains(name, "panic") && !strings.Contains(logs.String(), "stack") {
				t.Error("the stack of a panic is not in the log")
			}
			if again := call(a, "GET", "/health", ""); again.Code != 200 {
				t.Errorf("the next request got %d", again.Code)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	fake := &fakeJobs{}
	a, logs := newAPI(t, fake, api.Config{})
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	w := call(a, "POST", "/api/ingesta/mysql/", `{"datasets":["compras","users"]}`, "Content-Type: application/json; charset=UTF-8",
		"X-Request-Id: req-1", "Traceparent: "+parent, "Idempotency-Key: key-1")
	if w.Code != http.StatusAccepted {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	for name, want := range map[string]string{
		"Location": "/api/ingesta/jobs/" + someID, "Retry-After": "2", "Content-Type": "application/json",
		"X-Request-Id": "req-1", "Vary": "Prefer", "Preference-Applied": "", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var job ingest.Job
	if err := json.Unmarshal(w.Body.Bytes(), &job); err != nil || job.ID != someID || job.Status != ingest.Queued {
		t.Errorf("the body is not the job: %v: %s", err, w.Body)
	}
	got := fake.submitted()[0]
	if len(got.Orders) != 1 || got.Orders[0].Database != "mysql" || fmt.Sprint(got.Orders[0].Datasets) != "[compras users]" {
		t.Errorf("orders are %v", got.Orders)
	}
	if got.RequestedBy != "system" || got.RequestID != "req-1" || got.Traceparent != parent || got.IdempotencyKey != "key-1" {
		t.Errorf("the request arrived as %+v", got)
	}
	for _, part := range []string{`"job_id":"` + someID, `"database":"mysql"`, `"request_id":"req-1"`, `"status":202`, `"route":"/api/ingesta/:database"`} {
		if !strings.Contains(logs.String(), part) {
			t.Errorf("the access log lacks %s: %s", part, logs)
		}
	}
}

func TestEmptyBodies(t *testing.T) {
	for _, headers := range [][]string{nil, {"Content-Type: application/json"}, {"Content-Type: text/plain"}, {"Content-Type: nonsense"}} {
		for _, body := range []string{"", " \n"} {
			fake := &fakeJobs{}
			a, _ := newAPI(t, fake, api.Config{})
			if w := call(a, "POST", "/api/ingesta/postgresql", body, headers...); w.Code != http.StatusAccepted {
				t.Errorf("%v with body %q got %d: %s", headers, body, w.Code, w.Body)
			} else if fake.submitted()[0].Orders[0].Datasets != nil {
				t.Error("an empty body must ask for everything")
			}
		}
	}
	fake := &fakeJobs{}
	a, _ := newAPI(t, fake, api.Config{})
	if w := call(a, "POST", "/api/ingesta/postgresql", `{"datasets":[]}`); w.Code != 202 || fake.submitted()[0].Orders[0].Datasets == nil {
		t.Error("an empty list must reach package jobs as one, which refuses it")
	}
}

func TestAllDatabases(t *testing.T) {
	fake := &fakeJobs{}
	a, _ := newAPI(t, fake, api.Config{})
	w := call(a, "POST", "/api/ingesta", "{}")
	var body struct{ Jobs []ingest.Job }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 202 || len(body.Jobs) != 3 {
		t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	if links := w.Header().Values("Link"); len(links) != 3 || links[0] != "</api/ingesta/jobs/"+someID+`>; rel="item"` {
		t.Errorf("links are %v", links)
	}
	if requests := fake.submitted(); len(requests) != 1 || len(requests[0].Orders) != 3 {
		t.Errorf("want one request with three orders, got %v", requests)
	}
}

func TestReplayIsSaid(t *testing.T) {
	fake := &fakeJobs{submit: func(r jobs.Request) (jobs.Receipt, error) {
		return jobs.Receipt{Jobs: []ingest.Job{jobOf(r.Orders[0], someID)}, Replayed: true}, nil
	}}
	a, _ := newAPI(t, fake, api.Config{})
	w := call(a, "POST", "/api/ingesta/mysql", "", "Idempotency-Key: k")
	if w.Code != 202 || w.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
}

func TestPreferWait(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	tests := []struct {
		name    string
		prefer  []string
		cfg     api.Config
		ends    <-chan struct{}
		err     error
		status  int
		applied string
	}{
		{name: "waits and it ends", prefer: []string{"Prefer: wait=10"}, ends: ended, status: 200, applied: "wait=10"},
		{name: "waits in vain", prefer: []string{"Prefer: respond-async, wait=1"}, status: 202, applied: "wait=1"},
		{name: "wishes for more than allowed", prefer: []string{"Prefer: wait=99999999999999999999"}, ends: ended, status: 200, applied: "wait=300"},
		{name: "does not wait", ends: ended, status: 202},
		{name: "waits by default", cfg: api.Config{DefaultWait: time.Minute}, ends: ended, status: 200},
		{name: "does not wait against the default", prefer: []string{"Prefer: respond-async"}, cfg: api.Config{DefaultWait: time.Minute}, ends: ended, status: 202, applied: "respond-async"},
		{name: "waits for nothing", prefer: []string{"Prefer: wait=0"}, cfg: api.Config{DefaultWait: time.Minute}, ends: ended, status: 202, applied: "wait=0"},
		{name: "says it badly", prefer: []string{"Prefer: wait=soon"}, ends: ended, status: 202},
		{name: "cannot be waited for", prefer: []string{"Prefer: wait=10"}, err: errSecret, status: 202, applied: "wait=10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newAPI(t, &fakeJobs{ends: tt.ends, err: tt.err}, tt.cfg)
			for _, target := range []string{
				"/api/ingesta/mysql", "/api/ingesta", "/api/ingesta/jobs/" + someID + "/retry", "/api/ingesta/dead-letters/" + someLetter + "/replay",
			} {
				w := call(a, "POST", target, "", tt.prefer...)
				if w.Code != tt.status || w.Header().Get("Preference-Applied") != tt.applied {
					t.Errorf("%s: status %d, applied %q, want %d and %q", target, w.Code, w.Header().Get("Preference-Applied"), tt.status, tt.applied)
				}
				if (w.Header().Get("Retry-After") != "") != (tt.status == 202) {
					t.Errorf("%s: Retry-After is %q with status %d", target, w.Header().Get("Retry-After"), tt.status)
				}
				if (tt.status == 200) != strings.Contains(w.Body.String(), `"success"`) {
					t.Errorf("%s: the body does not show the job as it is: %s", target, w.Body)
				}
			}
		})
	}
}

func TestDrainEndsWaits(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{}, api.Config{})
	if w := call(a, "GET", "/ready", ""); w.Code != 200 {
		t.Errorf("/ready says %d before the drain", w.Code)
	}
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- call(a, "POST", "/api/ingesta/mysql", "", "Prefer: wait=300") }()
	a.Drain()
	select {
	case w := <-answered:
		if w.Code != http.StatusAccepted || w.Header().Get("Location") == "" {
			t.Errorf("a wait that the drain ended got %d: %s", w.Code, w.Body)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the drain did not end the wait")
	}
	wantProblem(t, call(a, "GET", "/ready", ""), 503, "not_ready")
	if w := call(a, "GET", "/health", ""); w.Code != 200 {
		t.Errorf("/health says %d during the drain: the process still lives", w.Code)
	}
}

// A wait longer than the server's own timeouts is not cut by them.
func TestWaitOutlivesServerTimeouts(t *testing.T) {
	ends := make(chan struct{})
	a, _ := newAPI(t, &fakeJobs{ends: ends}, api.Config{})
	server := httptest.NewUnstartedServer(a)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	server.Start()
	defer server.Close()
	time.AfterFunc(600*time.Millisecond, func() { close(ends) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/ingesta/mysql", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Prefer", "wait=30")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatalf("the connection was cut: %v", err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v: %s; the server's timeouts must not end a wait", answer.StatusCode, err, body)
	}
}

func TestGetJob(t *testing.T) {
	job := jobOf(jobs.Order{Database: ingest.MySQL}, someID)
	fake := &fakeJobs{job: job}
	a, _ := newAPI(t, fake, api.Config{})
	target := "/api/ingesta/jobs/" + someID
	first := call(a, "GET", target, "")
	etag := first.Header().Get("ETag")
	if first.Code != 200 || etag == "" || first.Header().Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("status %d, headers %v", first.Code, first.Header())
	}
	for _, match := range []string{etag, `W/` + etag, `"other", ` + etag, "*"} {
		if w := call(a, "GET", target, "", "If-None-Match: "+match); w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("ETag") != etag {
			t.Errorf("If-None-Match: %s got %d with %d bytes", match, w.Code, w.Body.Len())
		}
	}
	if w := call(a, "GET", target, "", `If-None-Match: "other"`); w.Code != 200 {
		t.Errorf("another tag got %d", w.Code)
	}
	if w := call(a, "GET", strings.ToUpper(target[:len(target)-36])+"", ""); w.Code != 404 {
		t.Errorf("paths are case sensitive, got %d", w.Code)
	}
	if w := call(a, "HEAD", target, ""); w.Code != 200 || w.Header().Get("ETag") != etag {
		t.Errorf("HEAD got %d", w.Code)
	}
	fake.job.Status = ingest.Running
	if w := call(a, "GET", target, "", "If-None-Match: "+etag); w.Code != 200 || w.Header().Get("ETag") == etag {
		t.Errorf("a changed job got %d with the tag %s: it must not be 304", w.Code, w.Header().Get("ETag"))
	}
}

func TestCancelJob(t *testing.T) {
	fake := &fakeJobs{job: jobOf(jobs.Order{Database: ingest.MySQL}, someID)}
	a, _ := newAPI(t, fake, api.Config{})
	w := call(a, "POST", "/api/ingesta/jobs/"+someID+"/cancel", "", "Traceparent: broken")
	if w.Code != 202 || w.Header().Get("Location") != "/api/ingesta/jobs/"+someID || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
	if fmt.Sprint(fake.cancels) != "["+someID+"]" || fake.traces[0] != "" {
		t.Errorf("cancelled %v with traces %q: a broken traceparent must not travel on", fake.cancels, fake.traces)
	}
}

func TestListJobs(t *testing.T) {
	fake := &fakeJobs{page: jobs.Page{Jobs: []ingest.Job{jobOf(jobs.Order{Database: ingest.MySQL}, someID)}, Next: "a/b+c="}}
	a, _ := newAPI(t, fake, api.Config{})
	w := call(a, "GET", "/api/ingesta/jobs?database=mysql&status=queued&limit=7&cursor=x%2Fy", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"next_cursor":"a/b+c="`) {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if want := (jobs.Query{Database: "mysql", Status: "queued", Limit: 7, Cursor: "x/y"}); fake.queries[0] != want {
		t.Errorf("asked for %+v, want %+v", fake.queries[0], want)
	}
	if got, want := w.Header().Get("Link"), `</api/ingesta/jobs?cursor=a%2Fb%2Bc%3D&database=mysql&limit=7&status=queued>; rel="next"`; got != want {
		t.Errorf("Link is %s, want %s", got, want)
	}
	fake.page = jobs.Page{}
	if w := call(a, "GET", "/api/ingesta/jobs", ""); w.Body.String() != `{"jobs":[]}`+"\n" || w.Header().Get("Link") != "" {
		t.Errorf("an empty list is %s", w.Body)
	}
	if fake.queries[1].Limit != 50 {
		t.Errorf("the default limit is %d", fake.queries[1].Limit)
	}
}

func TestRequestIDs(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{}, api.Config{})
	for _, id := range []string{"a", "0196f0a1-0000-7000-8000-000000000001", "Root=1-67891233-abcdef012345678912345678", strings.Repeat("x", 128)} {
		if got := call(a, "GET", "/health", "", "X-Request-Id: "+id).Header().Get("X-Request-Id"); got != id {
			t.Errorf("%q came back as %q", id, got)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", "a b", "a\r\nSet-Cookie: x=1", "ñ", `"`, "<script>", strings.Repeat("x", 129)} {
		got := call(a, "GET", "/health", "", "X-Request-Id: "+id).Header().Get("X-Request-Id")
		if got == id || len(got) != 36 || seen[got] {
			t.Errorf("%q came back as %q: want a new id", id, got)
		}
		seen[got] = true
	}
}

func TestHealthRoutes(t *testing.T) {
	fake := &fakeJobs{health: jobs.Health{Status: jobs.Up, Dependencies: map[string]jobs.Dependency{"redis": {Status: jobs.Up, LatencyMS: 0.4}}}}
	a, logs := newAPI(t, fake, api.Config{})
	for _, target := range []string{"/health", "/ready", "/api/ingesta/health", "/metrics"} {
		if w := call(a, "GET", target, ""); w.Code != 200 {
			t.Errorf("%s got %d: %s", target, w.Code, w.Body)
		}
	}
	if strings.Count(logs.String(), `"level":"DEBUG"`) != 3 {
		t.Errorf("probes of health, readiness and metrics must be logged at debug level: %s", logs)
	}
	fake.ready = fmt.Errorf("Redis does not answer")
	fake.health.Status = jobs.Down
	if p := wantProblem(t, call(a, "GET", "/ready", ""), 503, "not_ready"); p.Detail != "Redis does not answer" {
		t.Errorf("detail is %q", p.Detail)
	}
	if w := call(a, "GET", "/api/ingesta/health", ""); w.Code != 503 || !strings.Contains(w.Body.String(), `"latency_ms":0.4`) || w.Header().Get("Retry-After") == "" {
		t.Errorf("with something down got %d: %s", w.Code, w.Body)
	}
	if w := call(a, "GET", "/health", ""); w.Code != 200 {
		t.Errorf("/health got %d: it must not depend on anything", w.Code)
	}
}

func TestIndexAndDatasets(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{}, api.Config{})
	if w := call(a, "GET", "/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "PharmaVida Ingesta") {
		t.Errorf("the index is %d: %s", w.Code, w.Body)
	}
	w := call(a, "GET", "/api/ingesta/datasets", "")
	var list struct {
		CatalogDigest string `json:"catalog_digest"`
		Databases     []struct {
			Name     string
			Datasets []struct {
				Name, Object, Kind string
				Sources, Columns   []string
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Databases) != 3 || list.Databases[2].Datasets[1].Object != "ofertas_completo" || !strings.HasPrefix(list.CatalogDigest, "sha256:") {
		t.Errorf("the list is %s", w.Body)
	}
	if strings.Contains(strings.ToUpper(w.Body.String()), "SELECT") {
		t.Errorf("statements must not be shown: %s", w.Body)
	}
}

// Labels of metrics must not grow with what clients think up.
func TestMetricsAreBounded(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{}, api.Config{})
	for i := range 50 {
		call(a, "GET", fmt.Sprintf("/made/up/%d", i), "")
		call(a, fmt.Sprintf("VERB%d", i), "/health", "")
		call(a, "POST", fmt.Sprintf("/api/ingesta/db%d", i), "")
	}
	body := call(a, "GET", "/metrics", "").Body.String()
	if got := strings.Count(body, "\ningesta_http_requests_total{"); got != 3 {
		t.Errorf("want 3 series, got %d:\n%s", got, body)
	}
	if !strings.Contains(body, `ingesta_http_requests_total{method="GET",route="unmatched",status="404"} 50`) {
		t.Error("unmatched requests are not counted as such")
	}
}

func TestCatalogMustNotShadowRoutes(t *testing.T) {
	c, err := catalog.Parse("test", []byte("version: 1\ndatabases:\n  - name: jobs\n    datasets:\n      - name: a\n        table: a\n"))
	if err != nil {
		t.Fatal(err)
	}
	fake := &fakeJobs{}
	log := slog.New(slog.DiscardHandler)
	_, err = api.New(api.Config{}, api.Parts{
		Guard: auth.New(auth.Config{}, time.Now, log), Jobs: fake, Health: fake, Catalog: c, Version: "test", Registry: telemetry.NewRegistry(), Log: log,
	})
	if err == nil {
		t.Error("a database named like a route was accepted")
	}
}

// A client that stops sending its body is told so, and does not hold the handler.
func TestSlowBody(t *testing.T) {
	a, _ := newAPI(t, &fakeJobs{}, api.Config{})
	server := httptest.NewUnstartedServer(a)
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.Start()
	defer server.Close()
	body, stuck := io.Pipe()
	defer stuck.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/ingesta/mysql", body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d, want 408", answer.StatusCode)
	}
}

// A client that hangs up is no failure of ours: it is counted apart from both.
func TestClientHangsUp(t *testing.T) {
	a, logs := newAPI(t, &fakeJobs{err: fmt.Errorf("reading a job: %w", context.Canceled)}, api.Config{})
	w := call(a, "GET", "/api/ingesta/jobs/"+someID, "")
	wantProblem(t, w, 499, "client_gone")
	if !strings.Contains(logs.String(), `"level":"INFO"`) {
		t.Errorf("want a plain access log line, got %s", logs)
	}
}
