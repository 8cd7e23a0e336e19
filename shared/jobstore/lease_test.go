package jobstore

import (
	"reflect"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// refused makes sure that a stale lease can do nothing, and that trying changes nothing.
func refused(t testing.TB, s *Store, stale *Lease, id string) {
	t.Helper()
	ctx := t.Context()
	before := stored(t, s, id)
	_, err := stale.Renew(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 999}})
	wantError(t, "renewing a lost lease", err, ErrLeaseLost)
	wantError(t, "checking a lost lease", stale.Check(ctx), ErrLeaseLost)
	wantError(t, "committing under a lost lease", stale.Commit(ctx, done("users", 999)), ErrLeaseLost)
	wantError(t, "releasing a lost lease", stale.Release(ctx, Release{Outcome: ingest.OutcomeRetry, Failure: true}), ErrLeaseLost)
	_, err = stale.Finish(ctx, Finish{Status: ingest.Success, Results: ingest.Results{done("users", 999)}})
	wantError(t, "finishing under a lost lease", err, ErrLeaseLost)
	if err := stale.Progress(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 999}}); err != nil {
		t.Errorf("progress under a lost lease is told with %v, want it passed over", err)
	}
	if after := stored(t, s, id); !reflect.DeepEqual(before, after) {
		t.Errorf("a stale lease changed the job from\n%+v\nto\n%+v", before, after)
	}
	if code := ingest.AsError(err).Code; code != ingest.LeaseLost {
		t.Errorf("a lost lease has code %s, want %s", code, ingest.LeaseLost)
	}
}

func TestRenew(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	if err := lease.Commit(ctx, done("users", 7)); err != nil {
		t.Fatal(err)
	}
	progress := ingest.Results{
		{Dataset: "users", State: ingest.Exporting, Rows: 3}, // from before the commit
		{Dataset: "compras", State: ingest.Exporting, Rows: 40, Bytes: 400, EstimatedRows: 100, RowsPerSecond: 2.5},
	}
	var first ingest.Job
	for i := range 2 {
		cancelled, err := lease.Renew(ctx, progress)
		if err != nil || cancelled {
			t.Fatalf("renewing: cancelled %v, %v", cancelled, err)
		}
		got := stored(t, s, job.ID)
		if i == 0 {
			first = got
		}
		first.LeaseUntil, got.LeaseUntil = time.Time{}, time.Time{}
		if !reflect.DeepEqual(first, got) {
			t.Errorf("renewing twice left\n%+v\nthen\n%+v", first, got)
		}
	}
	if r := first.Results.Of("users"); r.State != ingest.Done || r.Rows != 7 {
		t.Errorf("a late renewal reopened the committed dataset: %+v", r)
	}
	r := first.Results.Of("compras")
	if r.State != ingest.Exporting || r.Rows != 40 || r.RowsPerSecond != 2.5 || r.Key == "" {
		t.Errorf("progress is stored as %+v", r)
	}
	if want := (ingest.Progress{Rows: 47, Bytes: 470, EstimatedRows: 107}); first.Progress != want {
		t.Errorf("the job's progress is %+v, want %+v", first.Progress, want)
	}
	if _, err := lease.Renew(ctx, ingest.Results{{Dataset: "pacientes", State: ingest.Exporting}}); err == nil {
		t.Error("progress of a dataset that is not the job's was accepted")
	}
}

// Progress between two renewals leaves the lease as it is, and nothing behind of a job that Redis forgot.
func TestProgress(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	until := fieldOf(t, s, job.ID, "lease_ms")
	for _, rows := range []int64{3, 4} {
		if err := lease.Progress(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: rows, RowsPerSecond: 2.5, EstimatedRows: 9}}); err != nil {
			t.Fatal(err)
		}
		if r := stored(t, s, job.ID).Results.Of("users"); r.Rows != rows || r.RowsPerSecond != 2.5 || r.EstimatedRows != 9 {
			t.Errorf("progress is stored as %+v", r)
		}
	}
	if got := fieldOf(t, s, job.ID, "lease_ms"); got != until {
		t.Errorf("the lease lasts until %s, want it left at %s", got, until)
	}
	if err := lease.Progress(ctx, ingest.Results{{Dataset: "pacientes", State: ingest.Exporting}}); err == nil {
		t.Error("progress of a dataset that is not the job's was accepted")
	}
	forget(t, s, job.ID)
	if err := lease.Progress(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 5}}); err != nil {
		t.Error(err)
	}
	_, err := s.Get(ctx, job.ID)
	wantError(t, "reading a forgotten job after a report of progress", err, ErrNotFound)
}

// While nobody took the job over, a late renewal saves the attempt.
func TestRenewAfterExpiry(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	if err := s.client.HSet(t.Context(), s.prefix+"job:"+job.ID, "lease_ms", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Renew(t.Context(), nil); err != nil {
		t.Fatalf("renewing an expired lease that nobody took: %v", err)
	}
	claim(t, s, job, Busy)
}

func TestCommit(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	want := done("compras", 1<<53+1) // digits that a double would lose
	want.Warnings = []string{}
	want.Snapshot = &ingest.Snapshot{ID: "00000003-1", At: time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC), Consistent: true}
	for range 2 {
		if err := lease.Commit(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	want.Key, want.Warnings = job.Results.Of("compras").Key, nil
	if got := stored(t, s, job.ID).Results.Of("compras"); !reflect.DeepEqual(*got, want) {
		t.Errorf("committed\n%+v\nwant\n%+v", *got, want)
	}
	if err := lease.Commit(ctx, done("pacientes", 1)); err == nil {
		t.Error("a dataset that is not the job's was committed")
	}
}

func TestRelease(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	if err := lease.Commit(ctx, done("users", 7)); err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Renew(ctx, ingest.Results{{Dataset: "compras", State: ingest.Exporting, Rows: 3}}); err != nil {
		t.Fatal(err)
	}
	rel := Release{After: time.Minute, Outcome: ingest.OutcomeRetry, Code: ingest.SourceUnavailable, Message: "the source is away", Failure: true}
	var first ingest.Job
	for i := range 2 {
		if err := lease.Release(ctx, rel); err != nil {
			t.Fatal(err)
		}
		got := stored(t, s, job.ID)
		if i == 0 {
			first = got
		} else if !reflect.DeepEqual(first, got) {
			t.Errorf("releasing twice left\n%+v\nthen\n%+v", first, got)
		}
	}
	if first.Status != ingest.Queued || first.Code != rel.Code || first.Error != rel.Message || first.CancelRequested {
		t.Errorf("the released job is %+v", first)
	}
	if a := first.Attempts[0]; a.Outcome != ingest.OutcomeRetry || a.Code != rel.Code || !first.NextAttemptAt.Equal(a.EndedAt.Add(time.Minute)) {
		t.Errorf("the attempt is %+v, the next at %v; want it a minute after the end", a, first.NextAttemptAt)
	}
	if first.Results.Of("users").State != ingest.Done || first.Results.Of("compras").State != ingest.Pending {
		t.Errorf("results are %+v; want the committed dataset kept and the other from the start", first.Results)
	}
	if got := fieldOf(t, s, job.ID, "failures"); got != "1" {
		t.Errorf("%s failures were counted, want 1", got)
	}
	_, err := lease.Renew(ctx, nil)
	wantError(t, "renewing a released lease", err, ErrLeaseLost)
	wantError(t, "checking a released lease", lease.Check(ctx), ErrLeaseLost)
	_, err = lease.Finish(ctx, Finish{Status: ingest.Success})
	wantError(t, "finishing a released job", err, ErrLeaseLost)
}

func TestFinish(t *testing.T) {
	for _, status := range []ingest.Status{ingest.Success, ingest.Partial, ingest.Failed, ingest.Cancelled} {
		t.Run(string(status), func(t *testing.T) {
			s := open(t)
			ctx := t.Context()
			job := accepted(t, s)
			lease := claim(t, s, job, Claimed).Lease
			if err := lease.Commit(ctx, done("users", 7)); err != nil {
				t.Fatal(err)
			}
			if _, err := lease.Renew(ctx, ingest.Results{{Dataset: "compras", State: ingest.Exporting, Rows: 3}}); err != nil {
				t.Fatal(err)
			}
			broken := ingest.Result{Dataset: "compras", State: ingest.Broken, Code: ingest.TableNotFound, Error: "no such table"}
			fin := Finish{Status: status, Results: ingest.Results{broken}, Code: ingest.QueryFailed, Message: "why"}
			first, err := lease.Finish(ctx, fin)
			if err != nil {
				t.Fatal(err)
			}
			fin.Code = ingest.Internal // a repeated call answers the first one's end
			again, err := lease.Finish(ctx, fin)
			if err != nil || !reflect.DeepEqual(first, again) {
				t.Errorf("finishing twice answers\n%+v\nthen\n%+v, %v", first, again, err)
			}
			if got := stored(t, s, job.ID); !reflect.DeepEqual(first, got) {
				t.Errorf("stored\n%+v\nwant what Finish answered\n%+v", got, first)
			}
			if first.Status != status || first.FinishedAt.IsZero() || first.Code != ingest.QueryFailed || first.Error != "why" {
				t.Errorf("the finished job is %+v", first)
			}
			if first.Results.Of("users").Rows != 7 || first.Results.Of("compras").State != ingest.Broken {
				t.Errorf("results are %+v", first.Results)
			}
			if a := first.Attempts[0]; a.Outcome != string(status) || a.Code != ingest.QueryFailed || !a.EndedAt.Equal(first.FinishedAt) {
				t.Errorf("the attempt is %+v", a)
			}
			if got := outbox(t, s, job.ID); got != "event" {
				t.Errorf("the outbox holds %q, want the event", got)
			}
			ttl, err := s.client.PTTL(ctx, s.prefix+"job:"+job.ID).Result()
			if err != nil || ttl <= 0 || ttl > s.cfg.Retention {
				t.Errorf("the job lives for %v (%v), want at most %v", ttl, err, s.cfg.Retention)
			}

			// Over is final.
			c := claim(t, s, job, Over)
			if c.KeptFor <= 59*time.Minute || c.KeptFor > time.Hour {
				t.Errorf("the job is kept for %v more, want the hour of its retention", c.KeptFor)
			}
			if c.Lease != nil || !reflect.DeepEqual(c.Job, first) {
				t.Errorf("claiming it: %+v", c)
			}
			if cancelled, err := lease.Renew(ctx, nil); err != nil || cancelled {
				t.Errorf("a renewal that crossed the end: %v, %v; want it to do nothing", cancelled, err)
			}
			wantError(t, "committing after the end", lease.Commit(ctx, done("users", 1)), ErrLeaseLost)
			wantError(t, "releasing after the end", lease.Release(ctx, Release{}), ErrLeaseLost)
			_, err = s.Cancel(ctx, job.ID)
			wantError(t, "cancelling after the end", err, ErrTerminal)
			if _, err := s.Discard(ctx, job.ID); err != nil {
				t.Error(err)
			}
			if got := stored(t, s, job.ID); !reflect.DeepEqual(first, got) {
				t.Errorf("the end changed from\n%+v\nto\n%+v", first, got)
			}
		})
	}
}

// How far an unfinished dataset came means nothing once the job is over.
func TestFinishForgetsProgress(t *testing.T) {
	s := open(t)
	lease := claim(t, s, accepted(t, s), Claimed).Lease
	if _, err := lease.Renew(t.Context(), ingest.Results{{Dataset: "compras", State: ingest.Exporting, Rows: 3}}); err != nil {
		t.Fatal(err)
	}
	got, err := lease.Finish(t.Context(), Finish{Status: ingest.Cancelled})
	if err != nil || got.Results.Of("compras").State != ingest.Pending || got.Progress != (ingest.Progress{}) {
		t.Errorf("finished without a result of compras: %+v, %v; want it pending, without progress", got, err)
	}
}

func TestFinishRefuses(t *testing.T) {
	s := open(t)
	lease := claim(t, s, accepted(t, s), Claimed).Lease
	for _, fin := range []Finish{
		{Status: ingest.Running},
		{Status: ingest.Queued},
		{Status: ""},
		{Status: ingest.Success, Results: ingest.Results{done("pacientes", 1)}},
	} {
		if _, err := lease.Finish(t.Context(), fin); err == nil {
			t.Errorf("finishing as %+v succeeded", fin)
		}
	}
	if err := lease.Check(t.Context()); err != nil {
		t.Errorf("a refused finish cost the lease: %v", err)
	}
}

// After a flush, whatever the holder of the lease does next writes the job back as it knew it.
func TestRestore(t *testing.T) {
	for name, act := range map[string]func(*testing.T, *Lease) error{
		"renew":  func(t *testing.T, l *Lease) error { _, err := l.Renew(t.Context(), nil); return err },
		"check":  func(t *testing.T, l *Lease) error { return l.Check(t.Context()) },
		"commit": func(t *testing.T, l *Lease) error { return l.Commit(t.Context(), done("compras", 5)) },
		"release": func(t *testing.T, l *Lease) error {
			return l.Release(t.Context(), Release{Outcome: ingest.OutcomeRetry})
		},
		"finish": func(t *testing.T, l *Lease) error {
			_, err := l.Finish(t.Context(), Finish{Status: ingest.Success, Results: ingest.Results{done("compras", 5)}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			ctx := t.Context()
			job := accepted(t, s)
			// A history worth keeping: one failed attempt, one committed dataset.
			if err := claim(t, s, job, Claimed).Lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry, Failure: true}); err != nil {
				t.Fatal(err)
			}
			c := claim(t, s, job, Claimed)
			if err := c.Lease.Commit(ctx, done("users", 7)); err != nil {
				t.Fatal(err)
			}
			before := stored(t, s, job.ID)
			forget(t, s, job.ID)

			if err := act(t, c.Lease); err != nil {
				t.Fatalf("%s after a flush: %v", name, err)
			}
			after := stored(t, s, job.ID)
			if after.Fence != c.Lease.Fence() || after.Attempt != 2 || len(after.Attempts) != 2 || after.Attempts[0] != before.Attempts[0] {
				t.Errorf("restored fence %d, attempts %+v; want %d and %+v", after.Fence, after.Attempts, c.Lease.Fence(), before.Attempts)
			}
			if !reflect.DeepEqual(after.Command(), job.Command()) {
				t.Errorf("restored command %+v, want %+v", after.Command(), job.Command())
			}
			if r := after.Results.Of("users"); r.State != ingest.Done || r.Rows != 7 {
				t.Errorf("the dataset committed before the flush is %+v", r)
			}
			want := map[string]ingest.Status{"release": ingest.Queued, "finish": ingest.Success}[name]
			if want == "" {
				want = ingest.Running
			}
			if after.Status != want {
				t.Errorf("status after the flush and %s is %s, want %s", name, after.Status, want)
			}
			if got := fieldOf(t, s, job.ID, "failures"); got != "1" {
				t.Errorf("failures after the flush: %s, want 1", got)
			}
			page, err := s.List(ctx, Query{Database: ingest.MySQL, Status: want})
			if err != nil || len(page.Jobs) != 1 {
				t.Errorf("listed are %+v (%v), want the restored job", page.Jobs, err)
			}
		})
	}
}

// Two workers believe in their lease when Redis forgets the job: the newer fence wins, in
// whichever order they come.
func TestRestoreNewestFenceWins(t *testing.T) {
	for _, staleFirst := range []bool{true, false} {
		s := open(t, func(c *Config) { c.Lease = shortLease })
		ctx := t.Context()
		job := accepted(t, s)
		stale := claim(t, s, job, Claimed).Lease
		owner := takeover(t, s, job).Lease
		forget(t, s, job.ID)
		if staleFirst { // nobody could know better yet
			if err := stale.Commit(ctx, done("compras", 999)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Cancel(ctx, job.ID); err != nil {
				t.Fatal(err)
			}
		}
		cancelled, err := owner.Renew(ctx, nil)
		if err != nil {
			t.Fatalf("the owner was refused (stale first: %v): %v", staleFirst, err)
		}
		if cancelled != staleFirst {
			t.Errorf("the owner heard of a cancellation: %v, want %v", cancelled, staleFirst)
		}
		if got := stored(t, s, job.ID).Results.Of("compras"); got.State != ingest.Pending {
			t.Errorf("the owner found the stale attempt's dataset: %+v", got)
		}
		if got := stored(t, s, job.ID); got.Fence != owner.Fence() || got.Attempt != 2 {
			t.Errorf("the job is of fence %d, attempt %d; want the owner's %d, 2", got.Fence, got.Attempt, owner.Fence())
		}
		refused(t, s, stale, job.ID)
	}
}

// snapshot returns a function that brings every key back to what it is now, as a restart does that
// lost the last writes.
func snapshot(t *testing.T, s *Store) (rollback func()) {
	t.Helper()
	ctx := t.Context()
	dumps := map[string]string{}
	for _, key := range s.client.Keys(ctx, s.prefix+"*").Val() {
		dump, err := s.client.Dump(ctx, key).Result()
		if err != nil {
			t.Fatalf("taking a snapshot of %s: %v", key, err)
		}
		dumps[key] = dump
	}
	return func() {
		t.Helper()
		wipe(t, s)
		for key, dump := range dumps {
			if err := s.client.Restore(ctx, key, 0, dump).Err(); err != nil {
				t.Fatalf("rolling back %s: %v", key, err)
			}
		}
	}
}

// A restart that lost the last second shows the job as it was before the claim.
func TestRestoreAfterRollback(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	rollback := snapshot(t, s)
	lease := claim(t, s, job, Claimed).Lease
	rollback()
	if _, err := lease.Renew(t.Context(), nil); err != nil {
		t.Fatalf("renewing a lease whose claim was lost: %v", err)
	}
	if got := stored(t, s, job.ID); got.Status != ingest.Running || got.Fence != lease.Fence() {
		t.Errorf("the job is %s under fence %d, want running under %d", got.Status, got.Fence, lease.Fence())
	}
	if got := outbox(t, s, job.ID); got != "" {
		t.Errorf("the outbox holds %q of a job whose worker has the command", got)
	}
}

// The same before a finish that was lost: the worker, not yet having heard of the loss, repeats
// it, or another redoes the work.
func TestFinishAfterRollback(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	rollback := snapshot(t, s)
	fin := Finish{Status: ingest.Success, Results: ingest.Results{done("users", 1), done("compras", 1)}}
	if _, err := lease.Finish(t.Context(), fin); err != nil {
		t.Fatal(err)
	}
	rollback()
	if got, err := lease.Finish(t.Context(), fin); err != nil || got.Status != ingest.Success {
		t.Errorf("repeating a finish that was lost: %+v, %v", got, err)
	}
}

// Restoring is for the forgotten: it changes nothing otherwise, and nothing the second time.
func TestRestoreTwice(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	unchanged := func(what string) {
		t.Helper()
		before := stored(t, s, job.ID)
		if err := lease.restore(ctx); err != nil {
			t.Fatal(err)
		}
		if after := stored(t, s, job.ID); !reflect.DeepEqual(before, after) {
			t.Errorf("restoring a job %s changed it from\n%+v\nto\n%+v", what, before, after)
		}
	}
	forget(t, s, job.ID)
	if err := lease.restore(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Renew(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 3}}); err != nil {
		t.Fatal(err)
	}
	unchanged("that is held")
	if err := lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry}); err != nil {
		t.Fatal(err)
	}
	unchanged("that was released")
	if _, err := s.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	unchanged("that is over")
}

// A flush between two adoptions: the adopter's fence is newer, so the first worker is out.
func TestAdoptionOverridesForgottenLease(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	old := claim(t, s, job, Claimed).Lease
	forget(t, s, job.ID)
	var adopter Claim
	stacktest.Eventually(t, "the clock has moved on", func() bool {
		var err error
		adopter, err = s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Worker: "b", Adopt: true})
		if err != nil {
			t.Fatal(err)
		}
		if adopter.Lease.Fence() > old.Fence() {
			return true
		}
		forget(t, s, job.ID)
		return false
	})
	refused(t, s, old, job.ID)
	if err := adopter.Lease.Check(t.Context()); err != nil {
		t.Errorf("the adopter lost its lease: %v", err)
	}
}

// A job that ended while its fence was forgotten stays ended.
func TestRestoreNeverReopens(t *testing.T) {
	s := open(t, func(c *Config) { c.Lease = shortLease })
	ctx := t.Context()
	job := accepted(t, s)
	stale := claim(t, s, job, Claimed).Lease
	owner := takeover(t, s, job).Lease
	forget(t, s, job.ID)
	if _, err := stale.Finish(ctx, Finish{Status: ingest.Failed, Code: ingest.Internal}); err != nil {
		t.Fatal(err)
	}
	refused(t, s, owner, job.ID)
}
