package contract

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// roundTrip is a transport that answers by itself.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A gateway that lies is found out: the test of the test.
func TestLiesAreNoticed(t *testing.T) {
	const (
		job = `{"job_id":"01a22bb8-7bb7-79d2-921c-b4c1ec445a6f","database":"mysql","status":"queued","requested_by":"system",` +
			`"created_at":"2026-11-30T09:10:40.311Z","attempt":0,"progress":{"rows":0,"bytes":0,"estimated_rows":0},"result":{"users":{"state":"pending"}}}`
		problem = `{"type":"/problems/job_not_found","title":"There is no such job","status":404,"code":"job_not_found","detail":"no","request_id":"r"}`
		path    = "/api/ingesta/jobs/01a22bb8-7bb7-79d2-921c-b4c1ec445a6f"
	)
	type answer struct {
		status int
		header string
		body   string
	}
	const good = "Content-Type: application/json\nX-Request-Id: r\nEtag: \"a\""
	const stream = "Content-Type: text/event-stream\nX-Request-Id: r"
	const refused = "Content-Type: application/problem+json\nX-Request-Id: r"
	for _, tt := range []struct {
		name, method, path, body string
		answer                   answer
		finds                    string // empty: nothing
	}{
		{"the truth", "GET", path, "", answer{200, good, job}, ""},
		{"a true problem", "GET", path, "", answer{404, refused, problem}, ""},
		{"a status of its own", "GET", path, "", answer{418, refused, problem}, "418"},
		{"a route of its own", "GET", "/api/ingesta/secrets/all", "", answer{200, good, job}, "does not have it"},
		{"a state of its own", "GET", path, "", answer{200, good, strings.Replace(job, "queued", "dreaming", 1)}, "status"},
		{"a field of its own", "GET", path, "", answer{200, good, strings.Replace(job, `"attempt"`, `"fence":7,"attempt"`, 1)}, "fence"},
		{"a field of its own in a result", "GET", path, "", answer{200, good, strings.Replace(job, `"state"`, `"fence":7,"state"`, 1)}, "fence"},
		{"a field that is missing", "GET", path, "", answer{200, good, strings.Replace(job, `"attempt":0,`, "", 1)}, "attempt"},
		{"a time that is none", "GET", path, "", answer{200, good, strings.Replace(job, "2026-11-30", "yesterday ", 1)}, "created_at"},
		{"a header that is missing", "GET", path, "", answer{200, "Content-Type: application/json\nX-Request-Id: r", job}, "ETag"},
		{"a header of its own", "GET", path, "", answer{200, good + "\nX-Powered-By: PHP", job}, "X-Powered-By"},
		{"another media type", "GET", path, "", answer{200, strings.Replace(good, "application/json", "text/html", 1), job}, "text/html"},
		{"a code of another operation", "GET", path, "", answer{404, refused, strings.ReplaceAll(problem, "job_not_found", "not_ready")}, "code"},
		{"a problem as plain JSON", "GET", path, "", answer{404, good, problem}, "application/json"},
		{"a true event", "GET", path + "/events", "", answer{200, stream, "event: job\nid: a\ndata: " + job + "\n\nevent: end\ndata: x\n\n"}, ""},
		{"an event that is cut off", "GET", path + "/events", "", answer{200, stream, "event: job\nid: a\ndata: {"}, ""},
		{"an event of its own", "GET", path + "/events", "", answer{200, stream, "event: dream\ndata: x\n\n"}, "dream"},
		{"a state of its own in an event", "GET", "/api/ingesta/events", "", answer{200, stream, "event: job\ndata: " + strings.Replace(job, "queued", "dreaming", 1) + "\n\n"}, "status"},
		{"a request it should refuse", "POST", path + "/cancel", `{"force":true}`, answer{202, "Content-Type: application/json\nX-Request-Id: r\nLocation: " + path, job}, "force"},
		{"a parameter it should refuse", "GET", "/api/ingesta/jobs?limit=0", "", answer{200, "Content-Type: application/json\nX-Request-Id: r", `{"jobs":[]}`}, "limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChecker(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				header := http.Header{}
				for line := range strings.Lines(tt.answer.header) {
					name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
					header.Set(name, value)
				}
				return &http.Response{
					StatusCode: tt.answer.status, Status: fmt.Sprint(tt.answer.status), Header: header,
					Body: io.NopCloser(strings.NewReader(tt.answer.body)), Request: r,
				}, nil
			}))
			r, err := http.NewRequest(tt.method, "http://gateway"+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			response, err := c.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(response.Body); err != nil || string(got) != tt.answer.body {
				t.Errorf("the caller receives %s (%v), want the answer as it was", got, err)
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
			said, _, _ := strings.Cut(strings.Join(c.faults, "\n"), "\nthe answer:") // which would be found in itself
			if (tt.finds == "") != (said == "") || !strings.Contains(said, tt.finds) {
				t.Errorf("the checker finds %q, want %q", said, tt.finds)
			}
		})
	}
}
