package jobstore

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// audit checks what must hold of every store at every time: indexes name exactly the jobs that are
// in their state, only terminal jobs expire, and every job that is not over is watched and found by what
// it does, and none that is over. Each test ends with it.
func audit(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	keys, err := s.client.Keys(ctx, s.prefix+"*").Result()
	if err != nil {
		t.Fatalf("auditing the store: %v", err)
	}
	want := map[string][]string{} // index, or set of jobs that do the same → members
	open, cancelling := []string{}, []string{}
	for _, key := range keys {
		id, ok := strings.CutPrefix(key, s.prefix+"job:")
		if !ok {
			continue
		}
		fields, err := s.client.HGetAll(ctx, key).Result()
		if err != nil {
			t.Fatalf("auditing job %s: %v", id, err)
		}
		if len(fields) == 0 {
			continue // expired since
		}
		job, err := record(fields).job()
		if err != nil {
			t.Errorf("audit: %v", err)
			continue
		}
		member := indexMember(job)
		for _, q := range []Query{{}, {Database: job.Database}, {Status: job.Status}, {Database: job.Database, Status: job.Status}} {
			want[index(q)] = append(want[index(q)], member)
		}
		left, err := s.client.PTTL(ctx, key).Result()
		if err != nil {
			t.Fatalf("auditing job %s: %v", id, err)
		}
		if expires := left >= 0 || left == -2; expires != job.Status.Terminal() {
			t.Errorf("audit: job %s is %s and expires: %v; only terminal jobs may, and must", id, job.Status, expires)
		}
		if !job.Status.Terminal() {
			open = append(open, id)
			if same := fields["same"]; same != "" {
				want["same:"+same] = append(want["same:"+same], id)
			}
		}
		if job.Status == ingest.Running && job.CancelRequested {
			cancelling = append(cancelling, id)
		}
		if running := job.Status == ingest.Running; running == job.LeaseUntil.IsZero() {
			t.Errorf("audit: job %s is %s with a lease until %v", id, job.Status, job.LeaseUntil)
		}
		for i, a := range job.Attempts {
			if a.Number != i+1 {
				t.Errorf("audit: job %s: attempt %d stands at place %d", id, a.Number, i+1)
			}
			if current := i == len(job.Attempts)-1 && job.Status == ingest.Running; current != a.EndedAt.IsZero() {
				t.Errorf("audit: job %s is %s; its attempt %d ended at %v", id, job.Status, a.Number, a.EndedAt)
			}
		}
	}
	for set, want := range map[string][]string{"open": open, "cancelling": cancelling} {
		got, err := s.client.ZRange(ctx, s.prefix+set, 0, -1).Result()
		if err != nil {
			t.Fatalf("auditing %s: %v", set, err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("audit: %s names %v, want %v", set, got, want)
		}
	}
	waiting, err := s.client.ZRange(ctx, s.prefix+"expiring", 0, -1).Result()
	if err != nil {
		t.Fatalf("auditing the expiring jobs: %v", err)
	}
	for _, key := range keys {
		name, ok := strings.CutPrefix(key, s.prefix)
		if !ok || !strings.HasPrefix(name, "index:") && !strings.HasPrefix(name, "same:") {
			continue
		}
		members, err := s.client.ZRange(ctx, key, 0, -1).Result()
		if err != nil {
			t.Fatalf("auditing %s: %v", name, err)
		}
		for _, m := range members {
			known := slices.Contains(want[name], m)
			unswept := slices.ContainsFunc(waiting, func(w string) bool { return strings.HasSuffix(w, " "+m) })
			if !known && !unswept {
				t.Errorf("audit: %s names %s, which is not in it", name, m)
			}
		}
		for _, m := range want[name] {
			if !slices.Contains(members, m) {
				t.Errorf("audit: %s lacks %s", name, m)
			}
		}
		delete(want, name)
	}
	for name, members := range want {
		t.Errorf("audit: %s is missing; it should name %v", name, members)
	}
}

// TestAuditSees makes sure that the audit of the other tests is not blind.
func TestAuditSees(t *testing.T) {
	s := open(t)
	job := accepted(t, s)
	for name, damage := range map[string]func() error{
		"an index that lacks a job": func() error {
			return s.client.ZRem(t.Context(), s.prefix+"index:status:queued", indexMember(job)).Err()
		},
		"a job that cannot be joined": func() error {
			return s.client.Del(t.Context(), s.prefix+"same:"+fieldOf(t, s, job.ID, "same")).Err()
		},
		"a queued job that expires": func() error { return s.client.PExpire(t.Context(), s.prefix+"job:"+job.ID, time.Hour).Err() },
		"a job nobody watches":      func() error { return s.client.ZRem(t.Context(), s.prefix+"open", job.ID).Err() },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		seen := &recorder{TB: t}
		audit(seen, s)
		if seen.errors == 0 {
			t.Errorf("the audit does not see %s", name)
		}
	}
	wipe(t, s)
}

// recorder counts failures instead of reporting them.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Errorf(string, ...any) { r.errors++ }
