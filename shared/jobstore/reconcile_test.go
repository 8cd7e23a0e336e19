package jobstore

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func stalled(t *testing.T, s *Store) []string {
	t.Helper()
	jobs, err := s.Stalled(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// pass lets time pass for the watch over a job.
func pass(t *testing.T, s *Store, id string, by time.Duration) {
	t.Helper()
	ctx := t.Context()
	if err := s.client.ZIncrBy(ctx, s.prefix+"open", -float64(by.Milliseconds()), id).Err(); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"lease_ms", "next_ms"} {
		if s.client.HExists(ctx, s.prefix+"job:"+id, field).Val() {
			if err := s.client.HIncrBy(ctx, s.prefix+"job:"+id, field, -by.Milliseconds()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestStalledQueued(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	if got := stalled(t, s); len(got) != 0 {
		t.Fatalf("a fresh job is stalled: %v", got)
	}
	for i, wait := range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		pass(t, s, job.ID, wait-time.Minute)
		if got := stalled(t, s); len(got) != 0 {
			t.Errorf("time %d: stalled before %v had passed", i+1, wait)
		}
		pass(t, s, job.ID, time.Minute)
		if got := stalled(t, s); !slices.Equal(got, []string{job.ID}) {
			t.Errorf("time %d: stalled after %v are %v, want the job", i+1, wait, got)
		}
	}
	// A claim shows that somebody cares again: the waits start over.
	lease := claim(t, s, job, Claimed).Lease
	if err := lease.Release(t.Context(), Release{After: 10 * time.Minute, Outcome: ingest.OutcomeRetry}); err != nil {
		t.Fatal(err)
	}
	pass(t, s, job.ID, 69*time.Minute)
	if got := stalled(t, s); len(got) != 0 {
		t.Error("a released job is stalled before an hour has passed since its next attempt was due")
	}
	pass(t, s, job.ID, time.Minute)
	if got := stalled(t, s); !slices.Equal(got, []string{job.ID}) {
		t.Errorf("an hour after its next attempt was due, stalled are %v, want the job", got)
	}
	pass(t, s, job.ID, 2*time.Hour)
	if got := stalled(t, s); !slices.Equal(got, []string{job.ID}) {
		t.Errorf("two hours after that, stalled are %v, want the job: the waits start over with a claim", got)
	}
}

func TestStalledRunning(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	pass(t, s, job.ID, 2*time.Hour)
	if _, err := lease.Renew(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := stalled(t, s); len(got) != 0 {
		t.Fatalf("a job with a live lease is stalled: %v", got)
	}
	pass(t, s, job.ID, longLease+59*time.Minute)
	if got := stalled(t, s); len(got) != 0 {
		t.Fatalf("stalled before the lease was dead for an hour: %v", got)
	}
	pass(t, s, job.ID, time.Minute)
	if got := stalled(t, s); !slices.Equal(got, []string{job.ID}) {
		t.Fatalf("an hour after the lease died, stalled are %v, want the job", got)
	}
	if c := claim(t, s, job, Claimed); c.Failures != 1 {
		t.Errorf("taken over with %d failures, want 1", c.Failures)
	}
}

func TestStalledForgetsJobsThatAreGone(t *testing.T) {
	s := open(t)
	if err := s.client.ZAdd(t.Context(), s.prefix+"open", redis.Z{Score: 1, Member: "gone"}).Err(); err != nil {
		t.Fatal(err)
	}
	if got := stalled(t, s); len(got) != 0 {
		t.Errorf("stalled are %v, want none", got)
	}
	if n := s.client.ZCard(t.Context(), s.prefix+"open").Val(); n != 0 {
		t.Errorf("%d jobs are watched, want none", n)
	}
}

func TestSweep(t *testing.T) {
	s := open(t, func(c *Config) { c.Retention = 30 * time.Millisecond })
	ctx := t.Context()
	kept, cancelled := accepted(t, s), accepted(t, s)
	finished := accepted(t, s)
	if _, err := claim(t, s, finished, Claimed).Lease.Finish(ctx, Finish{Status: ingest.Success}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(ctx, cancelled.ID); err != nil {
		t.Fatal(err)
	}
	dropped := 0
	stacktest.Eventually(t, "both terminal jobs are swept", func() bool {
		n, err := s.Sweep(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		dropped += n
		return dropped == 2
	})
	if n, err := s.Sweep(ctx, 10); err != nil || n != 0 {
		t.Errorf("sweeping again dropped %d, %v; want nothing left", n, err)
	}
	if got := stored(t, s, kept.ID).Status; got != ingest.Queued {
		t.Errorf("the queued job is %s", got)
	}
	keys, err := s.client.Keys(ctx, s.prefix+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if s.client.Type(ctx, key).Val() != "zset" {
			continue
		}
		for _, m := range s.client.ZRange(ctx, key, 0, -1).Val() {
			for _, id := range []string{finished.ID, cancelled.ID} {
				if len(m) >= len(id) && m[len(m)-len(id):] == id {
					t.Errorf("%s still holds %q of an expired job", key, m)
				}
			}
		}
	}
}

// A job kept beyond its time, for its event, is swept when it is really gone.
func TestSweepWaitsForKeptJobs(t *testing.T) {
	s := open(t, func(c *Config) { c.Retention = 100 * time.Millisecond })
	ctx := t.Context()
	job := accepted(t, s)
	if _, err := s.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	if got := overdue(t, s, 0, 10); len(got) != 1 {
		t.Fatalf("overdue are %+v, want the event", got)
	}
	stacktest.Eventually(t, "the first date of expiry has passed", func() bool {
		if n, err := s.Sweep(ctx, 10); err != nil || n != 0 {
			t.Fatalf("swept %d, %v; want the job kept", n, err)
		}
		score := s.client.ZScore(ctx, s.prefix+"expiring", "cancelled mysql "+indexMember(job)).Val()
		return score > float64(time.Now().Add(longestWait).UnixMilli())
	})
	stored(t, s, job.ID)
}

// A job may expire and be made anew from a late duplicate of its command, before it is swept.
func TestSweepAfterAdoption(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	job := accepted(t, s)
	if _, err := s.Cancel(ctx, job.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Del(ctx, s.prefix+"job:"+job.ID).Err(); err != nil { // expires
		t.Fatal(err)
	}
	c, err := s.Claim(ctx, ClaimRequest{Command: job.Command(), Worker: "w", Adopt: true})
	if err != nil || c.Outcome != Claimed {
		t.Fatalf("adopting: %+v, %v", c, err)
	}
	if page, err := s.List(ctx, Query{Status: ingest.Cancelled}); err != nil || len(page.Jobs) != 0 {
		t.Errorf("listed as cancelled: %+v, %v; want none", page.Jobs, err)
	}
	if n := s.client.ZCard(ctx, s.prefix+"expiring").Val(); n != 0 {
		t.Errorf("%d jobs wait to be swept; the only one lives again", n)
	}
	if page, err := s.List(ctx, Query{Status: ingest.Running}); err != nil || len(page.Jobs) != 1 {
		t.Errorf("listed as running: %+v, %v; want the adopted job", page.Jobs, err)
	}
}

func TestLead(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	lead := func(owner string, ttl time.Duration, want bool) {
		t.Helper()
		if got, err := s.Lead(ctx, owner, ttl); err != nil || got != want {
			t.Errorf("%s leads: %v, %v; want %v", owner, got, err, want)
		}
	}
	lead("a", time.Minute, true)
	lead("a", time.Minute, true)
	lead("b", time.Minute, false)
	if err := s.Resign(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	lead("b", time.Minute, false)
	for range 2 {
		if err := s.Resign(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	lead("b", 20*time.Millisecond, true)
	stacktest.Eventually(t, "the lead runs out", func() bool {
		got, err := s.Lead(ctx, "a", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return got
	})
}
