package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestRetryJob(t *testing.T) {
	fake := &fakeJobs{}
	a, logs := newAPI(t, fake, api.Config{})
	w := call(a, "POST", "/api/ingesta/jobs/"+strings.ToUpper(someID)+"/retry", "{}", "Idempotency-Key: k", "X-Request-Id: req-1")
	if w.Code != 202 || w.Header().Get("Location") != "/api/ingesta/jobs/"+someID || w.Header().Get("Retry-After") == "" || w.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
	got := fake.submitted()
	if len(got) != 1 || len(got[0].Orders) != 1 || got[0].Orders[0].RetryOf != someID || got[0].IdempotencyKey != "k" || got[0].RequestID != "req-1" || got[0].RequestedBy == "" {
		t.Errorf("asked for %+v, want one retry of %s under the key", got, someID)
	}
	if !strings.Contains(logs.String(), `"route":"/api/ingesta/jobs/:id/retry"`) || !strings.Contains(logs.String(), `"job_id":"`+someID) {
		t.Errorf("the log does not tell of the new job: %s", logs)
	}
}

func TestListDeadLetters(t *testing.T) {
	command := ingest.Command{Version: 1, JobID: someID, Database: ingest.MySQL, Targets: []ingest.Target{{Dataset: "users", Key: "k"}}, RequestedBy: "ana", AcceptedAt: created}
	fake := &fakeJobs{dead: jobs.DeadLetters{Total: 7, Letters: []jobs.DeadLetter{
		{ID: someLetter, Database: "mysql", JobID: someID, Code: "source_unavailable", Reason: "away", BuriedAt: created, MessageID: someID, Size: 210, Replayable: true, Command: &command},
		{ID: "ff", Database: "mysql", Size: 3, WhyNot: &jobs.Refusal{Code: jobs.LetterUnreadable, Detail: "it is no JSON"}},
	}}}
	a, _ := newAPI(t, fake, api.Config{})
	w := call(a, "GET", "/api/ingesta/dead-letters?limit=200", "")
	want := `{"total":7,"dead_letters":[` +
		`{"id":"` + someLetter + `","database":"mysql","job_id":"` + someID + `","code":"source_unavailable","reason":"away","buried_at":"2025-01-02T15:30:45Z","message_id":"` + someID + `","size":210,"replayable":true,` +
		`"command":{"version":1,"job_id":"` + someID + `","database":"mysql","datasets":[{"name":"users","key":"k"}],"requested_by":"ana","accepted_at":"2025-01-02T15:30:45Z","catalog_digest":""}},` +
		`{"id":"ff","database":"mysql","size":3,"replayable":false,"why_not":{"code":"dead_letter_unreadable","detail":"it is no JSON"}}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("status %d:\n%s\nwant\n%s", w.Code, w.Body, want)
	}
	fake.dead = jobs.DeadLetters{Letters: []jobs.DeadLetter{}}
	if w := call(a, "GET", "/api/ingesta/dead-letters", ""); w.Body.String() != `{"total":0,"dead_letters":[]}`+"\n" {
		t.Errorf("an empty list is %s", w.Body)
	}
	if fmt.Sprint(fake.limits) != "[200 50]" {
		t.Errorf("the limits were %v, want the one given and the default", fake.limits)
	}
}

func TestReplayDeadLetter(t *testing.T) {
	fake := &fakeJobs{}
	a, _ := newAPI(t, fake, api.Config{})
	target := "/api/ingesta/dead-letters/" + someLetter + "/replay"
	w := call(a, "POST", target, "")
	if w.Code != 202 || w.Header().Get("Location") != "/api/ingesta/jobs/"+someID || w.Header().Get("Retry-After") == "" || w.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
	if fmt.Sprint(fake.played) != "["+someLetter+"]" || fake.submitted()[0].RequestedBy == "" || fake.submitted()[0].RequestID == "" {
		t.Errorf("replayed %v for %+v", fake.played, fake.submitted())
	}
	fake.submit = func(r jobs.Request) (jobs.Receipt, error) {
		return jobs.Receipt{Jobs: []ingest.Job{jobOf(r.Orders[0], someID)}, Replayed: true}, nil
	}
	if w := call(a, "POST", target, ""); w.Code != 202 || w.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("a repetition got %d, headers %v", w.Code, w.Header())
	}
}
