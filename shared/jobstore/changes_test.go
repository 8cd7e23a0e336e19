package jobstore

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// listen collects changes until the test ends.
func listen(t *testing.T, s *Store) <-chan Change {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan Change, 100)
	ended := make(chan error, 1)
	go func() { ended <- s.Changes(ctx, func(c Change) { heard <- c }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("listening ended with %v, want nil after its context", err)
			}
		case <-time.After(deadline):
			t.Error("listening did not end with its context")
		}
	})
	hear(t, heard, Change{}) // subscribed
	return heard
}

// somewhere stands for the position of a transition, whatever it is.
const somewhere Position = "somewhere"

func hear(t *testing.T, heard <-chan Change, want Change) {
	t.Helper()
	select {
	case got := <-heard:
		if got.Position != "" {
			got.Position = somewhere
		}
		if got != want {
			t.Fatalf("heard %+v, want %+v", got, want)
		}
	case <-time.After(deadline):
		t.Fatalf("heard nothing, want %+v", want)
	}
}

func TestChanges(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	heard := listen(t, s)
	job := accepted(t, s)
	hear(t, heard, Change{job.ID, ingest.Queued, false, somewhere})
	lease := claim(t, s, job, Claimed).Lease
	hear(t, heard, Change{job.ID, ingest.Running, false, somewhere})
	if _, err := lease.Renew(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 1}}); err != nil {
		t.Fatal(err)
	}
	hear(t, heard, Change{job.ID, ingest.Running, false, ""})
	if err := lease.Commit(ctx, done("users", 1)); err != nil {
		t.Fatal(err)
	}
	hear(t, heard, Change{job.ID, ingest.Running, false, ""})
	if err := lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry}); err != nil {
		t.Fatal(err)
	}
	hear(t, heard, Change{job.ID, ingest.Queued, false, somewhere})
	lease = claim(t, s, job, Claimed).Lease
	hear(t, heard, Change{job.ID, ingest.Running, false, somewhere})
	for range 2 { // the second request tells nothing new
		if _, err := s.Cancel(ctx, job.ID); err != nil {
			t.Fatal(err)
		}
	}
	hear(t, heard, Change{job.ID, ingest.Running, true, somewhere})
	if _, err := lease.Finish(ctx, Finish{Status: ingest.Cancelled}); err != nil {
		t.Fatal(err)
	}
	hear(t, heard, Change{job.ID, ingest.Cancelled, true, somewhere})
}

// A subscription that breaks comes back by itself, and says so.
func TestChangesComeBack(t *testing.T) {
	s := open(t)
	spoiled, p := through(t, s)
	heard := listen(t, spoiled)
	p.cut()
	hear(t, heard, Change{})
	job := accepted(t, s)
	hear(t, heard, Change{job.ID, ingest.Queued, false, somewhere})
}

func TestChangesEndWithTheStore(t *testing.T) {
	cfg := server(t)
	cfg.Prefix = "test-" + rand.Text()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	subscribed := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Changes(t.Context(), func(Change) { subscribed <- struct{}{} })
	}()
	<-subscribed
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("listening on a closed store ended without an error")
		}
	case <-time.After(deadline):
		t.Error("listening went on after the store was closed")
	}
}

func TestParseChange(t *testing.T) {
	for payload, want := range map[string]Change{
		"a running 1":       {"a", ingest.Running, true, ""}, // as versions before wrote all, and this one progress
		"a queued 0":        {"a", ingest.Queued, false, ""},
		"a queued 0 12-3":   {"a", ingest.Queued, false, "12-3"},
		"":                  {},
		"a":                 {},
		"a b c":             {},
		"a queued 0 12-3 4": {},
	} {
		got, ok := parseChange(payload)
		if got != want || ok != (want != Change{}) {
			t.Errorf("%q is read as %+v, %v; want %+v", payload, got, ok, want)
		}
	}
}
