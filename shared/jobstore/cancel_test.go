package jobstore

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestCancelQueued(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	first, err := s.cancel(ctx, job.ID, "nonce")
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.cancel(ctx, job.ID, "nonce")
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("the same cancellation run twice answers\n%+v\nthen\n%+v, %v", first, again, err)
	}
	if first.Status != ingest.Cancelled || first.Code != ingest.JobCancelled || first.FinishedAt.IsZero() || len(first.Attempts) != 0 {
		t.Errorf("the cancelled job is %+v", first)
	}
	if got := outbox(t, s, job.ID); got != "event" {
		t.Errorf("the outbox holds %q, want the event and no command", got)
	}
	_, err = s.Cancel(ctx, job.ID)
	wantError(t, "cancelling it once more", err, ErrTerminal)
	claim(t, s, job, Over)
	_, err = s.Cancel(ctx, "never-was")
	wantError(t, "cancelling an unknown job", err, ErrNotFound)
}

func TestCancelBetweenAttempts(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	if err := lease.Commit(ctx, done("users", 1)); err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry, Code: ingest.SourceUnavailable, Failure: true}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Cancel(ctx, job.ID)
	namesNothing(t, got)
	if err != nil || got.Status != ingest.Cancelled || got.Attempts[0].Outcome != ingest.OutcomeRetry {
		t.Errorf("cancelled between attempts: %+v, %v; want it over, the attempt as it ended", got, err)
	}
	if got := outbox(t, s, job.ID); !strings.Contains(got, "command") || !strings.Contains(got, "event") {
		t.Errorf("the outbox holds %q; want the event, and the command that has a worker clean S3", got)
	}
	refused(t, s, lease, job.ID)
}

func TestCancelRunning(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	var first ingest.Job
	for i := range 2 {
		got, err := s.Cancel(ctx, job.ID)
		if err != nil || got.Status != ingest.Running || !got.CancelRequested {
			t.Fatalf("cancelling a running job: %+v, %v; want it running, cancellation requested", got, err)
		}
		if i == 0 {
			first = got
		} else if !reflect.DeepEqual(first, got) {
			t.Errorf("asking twice answers\n%+v\nthen\n%+v", first, got)
		}
	}
	if cancelled, err := lease.Renew(ctx, nil); err != nil || !cancelled {
		t.Errorf("renewing: cancelled %v, %v; want to hear of it", cancelled, err)
	}
	err := lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry, Failure: true})
	wantError(t, "releasing a job whose cancellation was requested", err, ErrCancelRequested)
	if err := lease.Check(ctx); err != nil {
		t.Errorf("the refused release cost the lease: %v", err)
	}
	ended, err := lease.Finish(ctx, Finish{Status: ingest.Cancelled, Code: ingest.JobCancelled})
	if err != nil || ended.Status != ingest.Cancelled {
		t.Errorf("finishing: %+v, %v", ended, err)
	}
	if left, err := s.CancelAbandoned(ctx, 10); err != nil || len(left) != 0 {
		t.Errorf("abandoned: %v, %v; want none", left, err)
	}
}

func TestCancelLosesToSuccess(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	if _, err := s.Cancel(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	got, err := lease.Finish(t.Context(), Finish{Status: ingest.Success, Results: ingest.Results{done("users", 1), done("compras", 1)}})
	if err != nil || got.Status != ingest.Success {
		t.Errorf("finishing after a late cancellation: %+v, %v; want success", got, err)
	}
}

func TestCancelledClaim(t *testing.T) {
	s := open(t, func(c *Config) { c.Lease = shortLease })
	job := accepted(t, s)
	claim(t, s, job, Claimed)
	if _, err := s.Cancel(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	c := takeover(t, s, job)
	if c.Outcome != Claimed || !c.Job.CancelRequested {
		t.Fatalf("taking over a cancelled job: %+v; want it claimed, to clean up", c)
	}
	// The holder knows of the cancellation, so a flush does not undo it.
	forget(t, s, job.ID)
	if cancelled, err := c.Lease.Renew(t.Context(), nil); err != nil || !cancelled {
		t.Errorf("renewing after a flush: cancelled %v, %v; want it still asked for", cancelled, err)
	}
}

func TestCancelAbandoned(t *testing.T) {
	s := open(t, func(c *Config) { c.Lease = shortLease })
	ctx := t.Context()
	job, other := accepted(t, s), accepted(t, s)
	stale := claim(t, s, job, Claimed).Lease
	if err := stale.Commit(ctx, done("users", 1)); err != nil {
		t.Fatal(err)
	}
	claim(t, s, other, Claimed) // its lease dies, too, but nobody cancelled it
	if _, err := s.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	var ended []ingest.Job
	stacktest.Eventually(t, "the lease is dead", func() bool {
		var err error
		if ended, err = s.CancelAbandoned(ctx, 10); err != nil {
			t.Fatal(err)
		}
		return len(ended) > 0
	})
	if len(ended) != 1 || ended[0].ID != job.ID || ended[0].Status != ingest.Cancelled {
		t.Fatalf("ended are %+v, want the cancelled job", ended)
	}
	namesNothing(t, ended[0])
	if got := ended[0].Attempts[0]; got.Outcome != string(ingest.Cancelled) || got.EndedAt.IsZero() {
		t.Errorf("its attempt is %+v", got)
	}
	if got := outbox(t, s, job.ID); got != "command event" {
		t.Errorf("the outbox holds %q, want the event, and the command for a worker to clean up", got)
	}
	if again, err := s.CancelAbandoned(ctx, 10); err != nil || len(again) != 0 {
		t.Errorf("a second run ended %v, %v; want nothing", again, err)
	}
	refused(t, s, stale, job.ID)
	claim(t, s, job, Over)
	if got := outbox(t, s, job.ID); got != "event" {
		t.Errorf("the outbox holds %q after a worker had the command, want the event", got)
	}
}

// namesNothing makes sure that a job whose objects are to be removed does not show them as there.
func namesNothing(t *testing.T, job ingest.Job) {
	t.Helper()
	for _, r := range job.Results {
		if r.State == ingest.Done || r.Rows != 0 {
			t.Errorf("the cancelled job shows dataset %s as %+v", r.Dataset, r)
		}
	}
}

// Of a cancellation and a claim at once, either may come first; both must agree on who did.
func TestCancelRacesClaim(t *testing.T) {
	s := open(t)
	for range 50 {
		job := accepted(t, s)
		var c Claim
		var cancelled ingest.Job
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			if c, err = s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Worker: "w"}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			var err error
			if cancelled, err = s.Cancel(t.Context(), job.ID); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		switch {
		case c.Outcome == Over && cancelled.Status == ingest.Cancelled:
		case c.Outcome == Claimed && cancelled.Status == ingest.Running && cancelled.CancelRequested:
		default:
			t.Fatalf("the claim got %s, the cancellation %+v", c.Outcome, cancelled)
		}
	}
}

// Of a cancellation and a finish at once, the job ends once.
func TestCancelRacesFinish(t *testing.T) {
	s := open(t)
	for range 50 {
		job := accepted(t, s)
		lease := claim(t, s, job, Claimed).Lease
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := lease.Finish(t.Context(), Finish{Status: ingest.Success}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := s.Cancel(t.Context(), job.ID); err != nil && !errors.Is(err, ErrTerminal) {
				t.Error(err)
			}
		})
		wg.Wait()
		if got := stored(t, s, job.ID).Status; got != ingest.Success {
			t.Fatalf("the job ended as %s, want success: only its holder ends a running job", got)
		}
	}
}
