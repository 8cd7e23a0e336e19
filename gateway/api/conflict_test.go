package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

const otherID = "0196f0a1-0000-7000-8000-000000000002"

func TestConflictsAreHandedOn(t *testing.T) {
	for body, want := range map[string]jobs.Conflict{
		"": "", "{}": "", `{"on_conflict":"queue"}`: jobs.Queue, `{"on_conflict":"join"}`: jobs.Join, `{"on_conflict":"reject"}`: jobs.Reject,
	} {
		fake := &fakeJobs{}
		a, _ := newAPI(t, fake, api.Config{})
		for _, target := range []string{"/api/ingesta/mysql", "/api/ingesta"} {
			if w := call(a, http.MethodPost, target, body); w.Code != http.StatusAccepted {
				t.Fatalf("%s with %s: %d: %s", target, body, w.Code, w.Body)
			}
		}
		for _, r := range fake.submitted() {
			for _, order := range r.Orders {
				if order.OnConflict != want {
					t.Errorf("with %s an order for %s says %q", body, order.Database, order.OnConflict)
				}
			}
		}
	}
}

func TestJoinedJobs(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	fake := &fakeJobs{ends: ended, submit: func(r jobs.Request) (jobs.Receipt, error) {
		receipt := jobs.Receipt{Joined: make([]bool, len(r.Orders))}
		for i, order := range r.Orders {
			receipt.Jobs = append(receipt.Jobs, jobOf(order, someID))
			receipt.Joined[i] = order.Database == ingest.MySQL
		}
		return receipt, nil
	}}
	a, logs := newAPI(t, fake, api.Config{})
	type accepted struct {
		ID           string `json:"job_id"`
		Database     ingest.Database
		Deduplicated *bool
	}
	var one accepted
	w := call(a, http.MethodPost, "/api/ingesta/mysql", `{"on_conflict":"join"}`)
	if err := json.Unmarshal(w.Body.Bytes(), &one); err != nil || w.Code != 202 || one.ID != someID || one.Deduplicated == nil || !*one.Deduplicated {
		t.Errorf("%d, %v: %s; want the job, deduplicated", w.Code, err, w.Body)
	}
	if got := w.Header().Get("Location"); got != "/api/ingesta/jobs/"+someID {
		t.Errorf("the Location is %q", got)
	}
	if w := call(a, http.MethodPost, "/api/ingesta/mysql", `{"on_conflict":"join"}`, "Prefer: wait=5"); w.Code != 200 || !strings.Contains(w.Body.String(), `"success"`) || !strings.Contains(w.Body.String(), `"deduplicated":true`) {
		t.Errorf("waited for, it is %d: %s", w.Code, w.Body)
	}
	if w := call(a, http.MethodPost, "/api/ingesta/postgresql", `{"on_conflict":"join"}`); strings.Contains(w.Body.String(), "deduplicated") {
		t.Errorf("a new job says %s", w.Body)
	}
	var all struct{ Jobs []accepted }
	w = call(a, http.MethodPost, "/api/ingesta", `{"on_conflict":"join"}`)
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || len(all.Jobs) != 3 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	for _, job := range all.Jobs {
		if joined := job.Deduplicated != nil; joined != (job.Database == ingest.MySQL) {
			t.Errorf("%s: deduplicated: %t", job.Database, joined)
		}
	}
	if !strings.Contains(logs.String(), `"on_conflict":"join"`) {
		t.Error("the audit does not say what was asked")
	}
}

func TestRejectedJobs(t *testing.T) {
	fake := &fakeJobs{submit: func(jobs.Request) (jobs.Receipt, error) {
		return jobs.Receipt{}, &jobs.Error{Code: jobs.Conflicting, Message: "the same work is under way", JobIDs: []string{someID, otherID}}
	}}
	a, logs := newAPI(t, fake, api.Config{})
	for _, target := range []string{"/api/ingesta/mysql", "/api/ingesta"} {
		w := call(a, http.MethodPost, target, `{"on_conflict":"reject"}`)
		p := wantProblem(t, w, http.StatusConflict, "job_conflict")
		if !slices.Equal(p.JobIDs, []string{someID, otherID}) || w.Header().Get("Location") != "/api/ingesta/jobs/"+someID {
			t.Errorf("%s: job_ids %v, Location %q", target, p.JobIDs, w.Header().Get("Location"))
		}
		want := []string{"</api/ingesta/jobs/" + someID + `>; rel="item"`, "</api/ingesta/jobs/" + otherID + `>; rel="item"`}
		if got := w.Header().Values("Link"); !slices.Equal(got, want) {
			t.Errorf("%s: links %v, want %v", target, got, want)
		}
	}
	if !strings.Contains(logs.String(), `"job_ids":["`+someID+`","`+otherID+`"]`) {
		t.Errorf("the audit does not name the jobs: %s", logs)
	}
}
