package jobstore

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

// allow asks once, and insists on an answer.
func allow(t *testing.T, s *Store, key string, limit Limit) Allowance {
	t.Helper()
	a, err := s.Allow(t.Context(), key, limit)
	if err != nil {
		t.Fatalf("counting a request: %v", err)
	}
	return a
}

func TestAllow(t *testing.T) {
	s := open(t)
	limit := Limit{Rate: 6, Per: time.Hour, Burst: 3}
	for i := range 3 {
		a := allow(t, s, "ana\x00run", limit)
		if want := 2 - i; !a.Allowed || a.Limit != 3 || a.Remaining != want || a.RetryAfter != 0 {
			t.Errorf("request %d of a burst: %+v, want it allowed and %d more", i+1, a, want)
		}
		if want := time.Duration(i+1) * 10 * time.Minute; a.Reset > want || a.Reset < want-time.Minute {
			t.Errorf("request %d of a burst: all is allowed again in %v, want about %v", i+1, a.Reset, want)
		}
	}
	for range 2 { // what is refused does not count
		a := allow(t, s, "ana\x00run", limit)
		if a.Allowed || a.Remaining != 0 || a.RetryAfter > 10*time.Minute || a.RetryAfter < 9*time.Minute || a.Reset < 29*time.Minute {
			t.Errorf("one too many: %+v, want to be told to come back in about 10m", a)
		}
	}
	for _, other := range []string{"eva\x00run", "ana\x00read", ""} {
		if a := allow(t, s, other, limit); !a.Allowed || a.Remaining != 2 {
			t.Errorf("the first request of %q: %+v", other, a)
		}
	}
	for _, bad := range []Limit{{}, {Rate: 1, Per: time.Second}, {Rate: 1, Burst: 1}, {Rate: -1, Per: time.Second, Burst: 1}, {Rate: 1e9, Per: time.Second, Burst: 1}} {
		if a, err := s.Allow(t.Context(), "k", bad); err == nil || a.Allowed {
			t.Errorf("%+v is taken for a limit: %+v", bad, a)
		}
	}
}

// After its pause one more is allowed, and what is remembered is forgotten in the end.
func TestAllowAgain(t *testing.T) {
	s := open(t)
	limit := Limit{Rate: 20, Per: time.Second, Burst: 1}
	begun := time.Now()
	allow(t, s, "k", limit)
	stacktest.Eventually(t, "one more is allowed", func() bool { return allow(t, s, "k", limit).Allowed })
	if took := time.Since(begun); took < 45*time.Millisecond {
		t.Errorf("one more was allowed after %v, want 50ms", took)
	}
	stacktest.Eventually(t, "it is forgotten", func() bool {
		keys, err := s.client.Keys(t.Context(), s.prefix+"limit:*").Result()
		return err == nil && len(keys) == 0
	})
}

// All gateways count together.
func TestAllowManyAtOnce(t *testing.T) {
	s := open(t)
	var allowed atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			a, err := s.Allow(t.Context(), "k", Limit{Rate: 1, Per: time.Hour, Burst: 10})
			if err != nil {
				t.Error(err)
			}
			if a.Allowed {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 10 {
		t.Errorf("%d of a hundred requests at once were allowed, want 10", n)
	}
}

// A clock that was set back, or a limit made stricter, keeps nobody out for longer than a burst takes.
func TestAllowAfterClockSetBack(t *testing.T) {
	s := open(t)
	limit := Limit{Rate: 60, Per: time.Hour, Burst: 5}
	allow(t, s, "k", limit)
	keys, err := s.client.Keys(t.Context(), s.prefix+"limit:*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if err := s.client.Set(t.Context(), keys[0], time.Now().Add(24*time.Hour).UnixMicro(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if a := allow(t, s, "k", limit); a.Allowed || a.RetryAfter > time.Minute || a.Reset > 5*time.Minute {
		t.Errorf("with the state of tomorrow: %+v, want to be told to come back in a minute", a)
	}
	quick := Limit{Rate: 60_000, Per: time.Hour, Burst: 5}
	stacktest.Eventually(t, "one is allowed at another limit", func() bool { return allow(t, s, "k", quick).Allowed })
}

func BenchmarkAllow(b *testing.B) {
	s := open(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Allow(b.Context(), "k", Limit{Rate: 1000, Per: time.Second, Burst: 1000}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
