package jobstore

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestClaim(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	c := claim(t, s, job, Claimed)
	if c.Failures != 0 || c.MaxFailures != 5 || c.LastChance() {
		t.Errorf("claim says %d of %d failures, last chance %v; want none of 5", c.Failures, c.MaxFailures, c.LastChance())
	}
	got := c.Job
	if got.Status != ingest.Running || got.Attempt != 1 || got.StartedAt.IsZero() {
		t.Errorf("the claimed job is %+v, want it running its first attempt", got)
	}
	if length := got.LeaseUntil.Sub(got.StartedAt); length != longLease {
		t.Errorf("the lease is %v long, want %v", length, longLease)
	}
	if c.Lease.Attempt() != 1 || c.Lease.Fence() != got.Fence || got.Fence < got.StartedAt.UnixMilli() {
		t.Errorf("fence %d, attempt %d, started at %v; want a fence from the clock up, attempt 1", c.Lease.Fence(), c.Lease.Attempt(), got.StartedAt)
	}
	if want := []ingest.Attempt{{Number: 1, Worker: "w", StartedAt: got.StartedAt}}; !reflect.DeepEqual(got.Attempts, want) {
		t.Errorf("attempts are %+v, want %+v", got.Attempts, want)
	}
	if !reflect.DeepEqual(got.Command(), job.Command()) {
		t.Errorf("the claimed job's command is %+v, want %+v", got.Command(), job.Command())
	}
	if got := outbox(t, s, job.ID); got != "" {
		t.Errorf("the outbox holds %q; a claim proves that the broker had the command", got)
	}

	busy := claim(t, s, job, Busy)
	if busy.RetryAfter <= 0 || busy.RetryAfter > longLease || busy.Lease != nil {
		t.Errorf("a second claim got %+v, want to retry after what is left of the lease", busy)
	}
}

func TestClaimSameNonce(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	req := ClaimRequest{Command: job.Command(), Worker: "w", Nonce: NewNonce()}
	first, err := s.Claim(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	// Long after, as after an outage: whoever repeats a claim knows of its lease only from now on.
	if err := s.client.HSet(t.Context(), s.prefix+"job:"+job.ID, "lease_ms", 1).Err(); err != nil {
		t.Fatal(err)
	}
	second, err := s.Claim(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if second.Job.LeaseUntil.Before(first.Job.LeaseUntil) {
		t.Errorf("the lease of a claim that is repeated ends at %v; want it to begin anew, and the first ended at %v", second.Job.LeaseUntil, first.Job.LeaseUntil)
	}
	second.Job.LeaseUntil = first.Job.LeaseUntil
	if second.Outcome != Claimed || !reflect.DeepEqual(first.Job, second.Job) || first.Lease.Fence() != second.Lease.Fence() {
		t.Errorf("the same claim run twice answers\n%+v\nthen\n%+v\nwant the same lease", first, second)
	}
	if got := stored(t, s, job.ID).Attempt; got != 1 {
		t.Errorf("%d attempts were counted, want 1", got)
	}
}

func TestClaimUnknown(t *testing.T) {
	s := open(t)
	command := ingest.Command{
		Version: 1, JobID: "lost", Database: ingest.MongoDB, RequestedBy: "ana", RequestID: "req", RetryOf: "old", CatalogDigest: "d",
		AcceptedAt: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
		Targets:    []ingest.Target{{Dataset: "medicos", Key: "mongodb/medicos_20260102_030405_2.csv"}},
	}
	c, err := s.Claim(t.Context(), ClaimRequest{Command: command, Worker: "w"})
	if err != nil || c.Outcome != Unknown || c.Lease != nil {
		t.Fatalf("claiming an unknown job: %+v, %v; want it unknown", c, err)
	}
	_, err = s.Get(t.Context(), "lost")
	wantError(t, "reading it", err, ErrNotFound)

	c, err = s.Claim(t.Context(), ClaimRequest{Command: command, Worker: "w", Adopt: true})
	if err != nil || c.Outcome != Claimed {
		t.Fatalf("adopting the job: %+v, %v", c, err)
	}
	if got := c.Job.Command(); !reflect.DeepEqual(got, command) {
		t.Errorf("the adopted job's command is\n%+v, want the one it was made from:\n%+v", got, command)
	}
	page, err := s.List(t.Context(), Query{Database: ingest.MongoDB, Status: ingest.Running})
	if err != nil || len(page.Jobs) != 1 {
		t.Errorf("listed are %+v (%v), want the adopted job", page.Jobs, err)
	}
	if _, err := c.Lease.Finish(t.Context(), Finish{Status: ingest.Success}); err != nil {
		t.Errorf("finishing an adopted job: %v", err)
	}
}

func TestClaimRefusesMalformed(t *testing.T) {
	s := open(t)
	for _, spoil := range []func(*ingest.Command){
		func(c *ingest.Command) { c.JobID = "a b" },
		func(c *ingest.Command) { c.Database = "my sql" },
		func(c *ingest.Command) { c.Targets = nil },
	} {
		command := accepted(t, s).Command()
		spoil(&command)
		if c, err := s.Claim(t.Context(), ClaimRequest{Command: command, Worker: "w", Adopt: true}); err == nil {
			t.Errorf("claiming by %+v: %+v, want an error", command, c)
		}
	}
}

func TestClaimManyAtOnce(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	outcomes := make(chan Outcome, 100)
	var wg sync.WaitGroup
	for range cap(outcomes) {
		wg.Go(func() {
			c, err := s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Worker: "w", Adopt: true})
			if err != nil {
				t.Error(err)
			}
			outcomes <- c.Outcome
		})
	}
	wg.Wait()
	close(outcomes)
	count := map[Outcome]int{}
	for o := range outcomes {
		count[o]++
	}
	if want := map[Outcome]int{Claimed: 1, Busy: 99}; !reflect.DeepEqual(count, want) {
		t.Errorf("100 claims at once: %v, want %v", count, want)
	}
}

func TestTakeover(t *testing.T) {
	s := open(t, func(c *Config) { c.Lease = shortLease })
	job := accepted(t, s)
	first := claim(t, s, job, Claimed)
	if err := first.Lease.Commit(t.Context(), done("users", 7)); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Lease.Renew(t.Context(), ingest.Results{{Dataset: "compras", State: ingest.Exporting, Rows: 3}}); err != nil {
		t.Fatal(err)
	}
	second := takeover(t, s, job)
	if second.Outcome != Claimed || second.Lease.Fence() <= first.Lease.Fence() || second.Lease.Attempt() != 2 || second.Failures != 1 {
		t.Fatalf("takeover: %+v, want a second attempt under a greater fence than %d, with one failure", second, first.Lease.Fence())
	}
	got := second.Job.Attempts
	if len(got) != 2 || got[0].Outcome != ingest.OutcomeExpired || got[0].EndedAt.IsZero() || got[1].Outcome != "" {
		t.Errorf("attempts are %+v, want the first expired and the second open", got)
	}
	if r := second.Job.Results.Of("users"); r.State != ingest.Done || r.Rows != 7 {
		t.Errorf("the committed dataset is %+v to the second attempt, want it done", r)
	}
	if r := second.Job.Results.Of("compras"); r.State != ingest.Pending || r.Rows != 0 {
		t.Errorf("the uncommitted dataset is %+v to the second attempt, want it from the start", r)
	}
	if !second.Job.StartedAt.Equal(first.Job.StartedAt) {
		t.Errorf("started_at moved from %v to %v; it is the first attempt's", first.Job.StartedAt, second.Job.StartedAt)
	}
	refused(t, s, first.Lease, job.ID)
}

// An equal or later fence must follow even when the clock is behind the last one.
func TestFenceGrowsUnderAClockSetBack(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	first := claim(t, s, job, Claimed)
	future := first.Lease.Fence() + (10 * time.Minute).Milliseconds()
	if err := s.client.HSet(t.Context(), s.prefix+"job:"+job.ID, "fence", future, "lease_ms", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, s, job, Claimed).Lease.Fence(); got != future+1 {
		t.Errorf("the fence after %d is %d, want %d", future, got, future+1)
	}
}

// A lease and a wait that were written by a clock ten minutes ahead last no longer than they were to.
func TestClockSetBack(t *testing.T) {
	s := open(t, func(c *Config) { c.Lease = shortLease })
	job := accepted(t, s)
	ahead := func(field string) {
		t.Helper()
		if err := s.client.HIncrBy(t.Context(), s.prefix+"job:"+job.ID, field, (10 * time.Minute).Milliseconds()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	claim(t, s, job, Claimed)
	ahead("lease_ms")
	if busy := claim(t, s, job, Busy); busy.RetryAfter > shortLease {
		t.Errorf("the lease is said to last for another %v; it is %v long", busy.RetryAfter, shortLease)
	}
	second := takeover(t, s, job)

	if err := second.Lease.Release(t.Context(), Release{After: 100 * time.Millisecond, Outcome: ingest.OutcomeRetry}); err != nil {
		t.Fatal(err)
	}
	ahead("next_ms")
	if early := claim(t, s, job, Early); early.RetryAfter > 100*time.Millisecond {
		t.Errorf("the next attempt is said to be due in %v; the wait is 100 ms long", early.RetryAfter)
	}
	stacktest.Eventually(t, "the next attempt is due", func() bool {
		c, err := s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Worker: "w"})
		if err != nil {
			t.Fatal(err)
		}
		return c.Outcome == Claimed
	})
}

func TestExhausted(t *testing.T) {
	s := open(t, func(c *Config) { c.MaxFailures = 3 })
	ctx := t.Context()
	job := accepted(t, s)
	for failures := range 3 {
		c := claim(t, s, job, Claimed)
		if c.Failures != failures || c.LastChance() != (failures == 2) {
			t.Errorf("after %d failures the claim says %d, last chance %v", failures, c.Failures, c.LastChance())
		}
		err := c.Lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry, Code: ingest.SourceUnavailable, Message: "away", Failure: true})
		if err != nil {
			t.Fatal(err)
		}
		// Handing back is not a failure, however often it happens.
		if failures < 2 {
			if err := claim(t, s, job, Claimed).Lease.Release(ctx, Release{Outcome: ingest.OutcomeHandedBack, Code: ingest.Shutdown}); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := claim(t, s, job, Exhausted)
	if c.Failures != 3 || c.Lease == nil {
		t.Fatalf("after 3 failures of 3: %+v, want a lease to finish it with", c)
	}
	// The same nonce gets the same answer here, too.
	again, err := s.Claim(ctx, ClaimRequest{Command: job.Command(), Nonce: fieldOf(t, s, job.ID, "nonce")})
	if err != nil || again.Outcome != Exhausted {
		t.Errorf("the same claim again: %+v, %v; want it exhausted", again, err)
	}
	ended, err := c.Lease.Finish(ctx, Finish{Status: ingest.Failed, Code: ingest.AttemptsExhausted, Message: "failed 3 times"})
	if err != nil || ended.Status != ingest.Failed || ended.Code != ingest.AttemptsExhausted {
		t.Errorf("finishing: %+v, %v", ended, err)
	}
}

func TestExpiredLeasesExhaust(t *testing.T) {
	s := open(t, func(c *Config) { c.Lease, c.MaxFailures = shortLease, 2 })
	job := accepted(t, s)
	claim(t, s, job, Claimed)
	if c := takeover(t, s, job); c.Outcome != Claimed || c.Failures != 1 {
		t.Fatalf("after one expired lease of 2: %+v", c)
	}
	if c := takeover(t, s, job); c.Outcome != Exhausted || c.Failures != 2 {
		t.Fatalf("after two expired leases of 2: %+v, want it exhausted", c)
	}
}

func TestEarly(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	c := claim(t, s, job, Claimed)
	if err := c.Lease.Release(t.Context(), Release{After: 100 * time.Millisecond, Outcome: ingest.OutcomeRetry, Failure: true}); err != nil {
		t.Fatal(err)
	}
	early := claim(t, s, job, Early)
	if early.RetryAfter <= 0 || early.RetryAfter > 100*time.Millisecond || early.Lease != nil {
		t.Errorf("claimed before the next attempt is due: %+v", early)
	}
	stacktest.Eventually(t, "the next attempt is due", func() bool {
		c, err := s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Worker: "w"})
		if err != nil {
			t.Fatal(err)
		}
		return c.Outcome == Claimed
	})
	if got := stored(t, s, job.ID); !got.NextAttemptAt.IsZero() || got.Code != "" {
		t.Errorf("a running job still tells next_attempt_at %v and code %q", got.NextAttemptAt, got.Code)
	}
}

func BenchmarkClaimFinish(b *testing.B) {
	s := open(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			// The job is adopted, so that acceptance is not measured.
			sub := submission()
			command := ingest.Command{JobID: sub.ID, Database: sub.Database, Targets: sub.Targets, AcceptedAt: time.Now()}
			c, err := s.Claim(b.Context(), ClaimRequest{Command: command, Worker: "w", Adopt: true})
			if err != nil {
				b.Error(err)
				return
			}
			results := ingest.Results{done("users", 1), done("compras", 2)}
			if _, err := c.Lease.Finish(b.Context(), Finish{Status: ingest.Success, Results: results}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
