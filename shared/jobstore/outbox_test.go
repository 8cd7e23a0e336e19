package jobstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// age moves the due time of a message into the past, as if it had waited that long.
func age(t *testing.T, s *Store, kind Kind, id string, by time.Duration) {
	t.Helper()
	err := s.client.ZIncrBy(t.Context(), s.prefix+"outbox", -float64(by.Milliseconds()), string(kind)+":"+id).Err()
	if err != nil {
		t.Fatal(err)
	}
}

func overdue(t *testing.T, s *Store, olderThan time.Duration, limit int) []Pending {
	t.Helper()
	got, err := s.Overdue(t.Context(), olderThan, limit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestOverdue(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	first, second, third := accepted(t, s), accepted(t, s), accepted(t, s)
	if got := overdue(t, s, 30*time.Second, 10); len(got) != 0 {
		t.Fatalf("fresh messages are overdue: %+v", got)
	}
	// The longest waiting come first, and limit bounds them.
	age(t, s, CommandEntry, first.ID, 40*time.Second)
	age(t, s, CommandEntry, second.ID, 50*time.Second)
	age(t, s, CommandEntry, third.ID, 31*time.Second)
	ids := func(entries []Pending) []string {
		var ids []string
		for _, e := range entries {
			if e.Kind != CommandEntry || e.Tries != 1 || e.Job.ID != e.JobID || e.Job.Status != ingest.Queued {
				t.Errorf("handed out %+v, want a command of a queued job, tried once", e)
			}
			ids = append(ids, e.JobID)
		}
		return ids
	}
	if got, want := ids(overdue(t, s, 30*time.Second, 2)), []string{second.ID, first.ID}; !slices.Equal(got, want) {
		t.Errorf("overdue are %v, want the two that waited longest: %v", got, want)
	}
	if got, want := ids(overdue(t, s, 30*time.Second, 2)), []string{third.ID}; !slices.Equal(got, want) {
		t.Errorf("overdue next are %v, want %v: the others were put off", got, want)
	}

	for range 2 {
		if err := s.Settle(ctx, CommandEntry, first.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := outbox(t, s, first.ID); got != "" {
		t.Errorf("the outbox holds %q after settling", got)
	}
	tries, err := s.client.HExists(ctx, s.prefix+"outbox:tries", "command:"+first.ID).Result()
	if err != nil || tries {
		t.Errorf("a settled message still has its tries counted: %v, %v", tries, err)
	}
}

func TestOverdueBacksOff(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	const olderThan = 30 * time.Second
	age(t, s, CommandEntry, job.ID, olderThan)
	for tries, wait := range []time.Duration{
		30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute,
	} {
		got := overdue(t, s, olderThan, 10)
		if len(got) != 1 || got[0].Tries != tries+1 {
			t.Fatalf("try %d: overdue are %+v", tries+1, got)
		}
		// A little before the wait is over nothing comes; then the message does.
		age(t, s, CommandEntry, job.ID, wait-10*time.Second)
		if got := overdue(t, s, olderThan, 10); len(got) != 0 {
			t.Errorf("try %d: handed out again before %v had passed", tries+1, wait)
		}
		age(t, s, CommandEntry, job.ID, 10*time.Second)
	}
}

func TestOverdueEvent(t *testing.T) {
	s := open(t, func(c *Config) { c.Retention = time.Minute })
	ctx := t.Context()
	job := accepted(t, s)
	lease := claim(t, s, job, Claimed).Lease
	ended, err := lease.Finish(ctx, Finish{Status: ingest.Success})
	if err != nil {
		t.Fatal(err)
	}
	got := overdue(t, s, 0, 10)
	if len(got) != 1 || got[0].Kind != EventEntry || got[0].Job.Status != ingest.Success {
		t.Fatalf("overdue are %+v, want the event of the finished job", got)
	}
	if a, b := ingest.EventOf(ended), ingest.EventOf(got[0].Job); a.ID != b.ID || a.Kind != b.Kind || !a.Time.Equal(b.Time) {
		t.Errorf("the event would be %+v, the first one was %+v", b, a)
	}
	// The job must not expire before its event is out.
	ttl, err := s.client.PTTL(ctx, s.prefix+"job:"+job.ID).Result()
	if err != nil || ttl < longestWait {
		t.Errorf("the job expires in %v (%v), before its event is tried again", ttl, err)
	}
}

func TestOverdueDropsMessagesOfJobsThatAreGone(t *testing.T) {
	s := open(t)
	if err := s.client.ZAdd(t.Context(), s.prefix+"outbox", redis.Z{Score: 1, Member: "event:gone"}).Err(); err != nil {
		t.Fatal(err)
	}
	if got := overdue(t, s, 0, 10); len(got) != 0 {
		t.Errorf("overdue are %+v, want none", got)
	}
	if got := outbox(t, s, "gone"); got != "" {
		t.Errorf("the outbox still holds %q of a job that is gone", got)
	}
}

// Two reconcilers at once share the work.
func TestOverdueTwoCallers(t *testing.T) {
	s := open(t)
	for range 20 {
		age(t, s, CommandEntry, accepted(t, s).ID, time.Minute)
	}
	results := make(chan string, 40)
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			for range 4 {
				got, err := s.Overdue(t.Context(), 30*time.Second, 5)
				if err != nil {
					errs <- err
					return
				}
				for _, p := range got {
					results <- p.JobID
				}
			}
			errs <- nil
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	close(results)
	seen := map[string]bool{}
	for id := range results {
		if seen[id] {
			t.Errorf("%s was handed out twice", id)
		}
		seen[id] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d messages were handed out, want 20", len(seen))
	}
}

func TestSettleLeavesOthersAlone(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	for _, settle := range []struct {
		kind Kind
		id   string
	}{{EventEntry, job.ID}, {CommandEntry, "other"}, {CommandEntry, fmt.Sprint(job.ID, "x")}} {
		if err := s.Settle(t.Context(), settle.kind, settle.id); err != nil {
			t.Fatal(err)
		}
	}
	if got := outbox(t, s, job.ID); got != "command" {
		t.Errorf("the outbox holds %q, want the command still", got)
	}
}
