package jobstore

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// TestTransitions tries every step from every state: what happens, and that whatever happens is a
// transition that the domain allows.
func TestTransitions(t *testing.T) {
	type subject struct {
		job   ingest.Job
		lease *Lease // of the latest claim, dead or alive; nil before the first
	}
	none := func(testing.TB, *Store, *subject) {}
	run := func(t testing.TB, s *Store, x *subject) { x.lease = claim(t, s, x.job, Claimed).Lease }
	wait := func(t testing.TB, s *Store, x *subject) {
		run(t, s, x)
		if err := x.lease.Release(t.Context(), Release{Outcome: ingest.OutcomeRetry}); err != nil {
			t.Fatal(err)
		}
	}
	expire := func(t testing.TB, s *Store, x *subject) {
		run(t, s, x)
		if err := s.client.HSet(t.Context(), s.prefix+"job:"+x.job.ID, "lease_ms", 1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	end := func(status ingest.Status) func(testing.TB, *Store, *subject) {
		return func(t testing.TB, s *Store, x *subject) {
			run(t, s, x)
			if _, err := x.lease.Finish(t.Context(), Finish{Status: status}); err != nil {
				t.Fatal(err)
			}
		}
	}
	states := []struct {
		name string
		make func(testing.TB, *Store, *subject)
	}{
		{"queued", none}, {"waiting", wait}, {"running", run}, {"expired", expire},
		{"success", end(ingest.Success)}, {"partial", end(ingest.Partial)}, {"error", end(ingest.Failed)}, {"cancelled", end(ingest.Cancelled)},
	}
	steps := []struct {
		name string
		do   func(testing.TB, *Store, *subject)
		want map[string]ingest.Status // state → status afterwards; the others stay as they are
	}{
		{"accept", func(t testing.TB, s *Store, x *subject) {
			sub := submission()
			sub.ID = x.job.ID
			if _, err := s.Accept(t.Context(), []Submission{sub}, nil); err != nil {
				t.Error(err)
			}
		}, nil},
		{"claim", func(t testing.TB, s *Store, x *subject) {
			if _, err := s.Claim(t.Context(), ClaimRequest{Command: x.job.Command(), Worker: "b", Adopt: true}); err != nil {
				t.Error(err)
			}
		}, map[string]ingest.Status{"queued": ingest.Running, "waiting": ingest.Running, "expired": ingest.Running}},
		{"cancel", func(t testing.TB, s *Store, x *subject) { _, _ = s.Cancel(t.Context(), x.job.ID) },
			map[string]ingest.Status{"queued": ingest.Cancelled, "waiting": ingest.Cancelled}},
		{"cancel abandoned", func(t testing.TB, s *Store, x *subject) {
			_, _ = s.Cancel(t.Context(), x.job.ID)
			if _, err := s.CancelAbandoned(t.Context(), 10); err != nil {
				t.Error(err)
			}
		}, map[string]ingest.Status{"queued": ingest.Cancelled, "waiting": ingest.Cancelled, "expired": ingest.Cancelled}},
		{"renew", func(t testing.TB, _ *Store, x *subject) {
			if x.lease != nil {
				_, _ = x.lease.Renew(t.Context(), nil)
			}
		}, nil},
		{"progress", func(t testing.TB, _ *Store, x *subject) {
			if x.lease != nil {
				_ = x.lease.Progress(t.Context(), ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 1}})
			}
		}, nil},
		{"join", func(t testing.TB, s *Store, _ *subject) {
			if _, err := s.Accept(t.Context(), []Submission{joining()}, nil); err != nil {
				t.Error(err)
			}
		}, nil},
		{"commit", func(t testing.TB, _ *Store, x *subject) {
			if x.lease != nil {
				_ = x.lease.Commit(t.Context(), done("users", 1))
			}
		}, nil},
		{"release", func(t testing.TB, _ *Store, x *subject) {
			if x.lease != nil {
				_ = x.lease.Release(t.Context(), Release{Outcome: ingest.OutcomeRetry})
			}
		}, map[string]ingest.Status{"running": ingest.Queued, "expired": ingest.Queued}},
		{"finish", func(t testing.TB, _ *Store, x *subject) {
			if x.lease != nil {
				_, _ = x.lease.Finish(t.Context(), Finish{Status: ingest.Partial})
			}
		}, map[string]ingest.Status{"running": ingest.Partial, "expired": ingest.Partial}},
		{"reconcile", func(t testing.TB, s *Store, _ *subject) {
			if _, err := s.Overdue(t.Context(), 0, 10); err != nil {
				t.Error(err)
			}
			if _, err := s.Stalled(t.Context(), 10); err != nil {
				t.Error(err)
			}
			if _, err := s.Sweep(t.Context(), 10); err != nil {
				t.Error(err)
			}
		}, nil},
	}
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			for _, step := range steps {
				t.Run(step.name, func(t *testing.T) {
					s := open(t)
					x := &subject{job: accepted(t, s)}
					state.make(t, s, x)
					before, position := stored(t, s, x.job.ID), now(t, s)
					step.do(t, s, x)
					after := stored(t, s, x.job.ID)
					told := since(t, s, position)
					known := slices.ContainsFunc(told, func(c Change) bool { return c.ID == x.job.ID && c.Status == after.Status })
					if after.Status != before.Status && !known {
						t.Errorf("the history has %+v of a job that became %s", told, after.Status)
					}
					want, moves := step.want[state.name]
					if !moves {
						want = before.Status
					}
					if after.Status != want {
						t.Errorf("%s on a job that is %s: it is %s afterwards, want %s", step.name, state.name, after.Status, want)
					}
					if moves && !before.Status.CanBecome(after.Status) {
						t.Errorf("%s → %s is not a transition of the domain", before.Status, after.Status)
					}
					if after.Fence < before.Fence {
						t.Errorf("the fence fell from %d to %d", before.Fence, after.Fence)
					}
				})
			}
		})
	}
}

// TestAnyOrder lets many workers, clients and reconcilers do everything at once with leases that
// run out all the time. Every job must end exactly once, by exactly one of them, and fences must
// only grow.
func TestAnyOrder(t *testing.T) {
	s := open(t, func(c *Config) { c.Lease, c.MaxFailures = 3*time.Millisecond, 1000 })
	ctx := t.Context()
	const jobCount, actors, steps = 8, 16, 150
	begin := now(t, s)
	type track struct {
		job    ingest.Job
		ends   atomic.Int32
		fences sync.Map // fence → claimed
		latest atomic.Int64
	}
	tracks := make([]*track, jobCount)
	for i := range tracks {
		tracks[i] = &track{job: accepted(t, s)}
	}
	var wg sync.WaitGroup
	for actor := range actors {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(actor)))
			held := map[*track]*Lease{}
			for range steps {
				x := tracks[random.IntN(jobCount)]
				lease := held[x]
				switch step := random.IntN(12); {
				case lease == nil:
					before := x.latest.Load()
					c, err := s.Claim(ctx, ClaimRequest{Command: x.job.Command(), Worker: "w", Adopt: true})
					if err != nil {
						t.Error(err)
						return
					}
					if c.Lease == nil {
						continue
					}
					held[x] = c.Lease
					if _, twice := x.fences.LoadOrStore(c.Lease.Fence(), true); twice {
						t.Errorf("fence %d was given out twice", c.Lease.Fence())
					}
					if c.Lease.Fence() <= before {
						t.Errorf("fence %d follows %d", c.Lease.Fence(), before)
					}
					for latest := before; c.Lease.Fence() > latest && !x.latest.CompareAndSwap(latest, c.Lease.Fence()); {
						latest = x.latest.Load()
					}
				case step < 3:
					_, _ = lease.Renew(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 1}})
				case step == 3:
					_ = lease.Progress(ctx, ingest.Results{{Dataset: "users", State: ingest.Exporting, Rows: 2}})
				case step < 6:
					_ = lease.Commit(ctx, done("users", 1))
				case step < 8:
					_ = lease.Release(ctx, Release{Outcome: ingest.OutcomeRetry, Failure: true})
					delete(held, x)
				case step < 10:
					delete(held, x) // forgets it, as a killed worker would
				case step == 10:
					if _, err := lease.Finish(ctx, Finish{Status: ingest.Success}); err == nil {
						x.ends.Add(1)
					}
					delete(held, x)
				default:
					ended, err := s.CancelAbandoned(ctx, 10)
					if err != nil {
						t.Error(err)
					}
					for _, j := range ended {
						for _, y := range tracks {
							if y.job.ID == j.ID {
								y.ends.Add(1)
							}
						}
					}
					if random.IntN(4) == 0 {
						if got, err := s.Cancel(ctx, x.job.ID); err == nil && got.Status == ingest.Cancelled {
							x.ends.Add(1)
						}
					}
				}
			}
		})
	}
	wg.Wait()
	defer func() {
		history, _, err := s.History(ctx, begin, 10000)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range tracks {
			ends := 0
			for _, c := range history {
				if c.ID == x.job.ID && c.Status.Terminal() {
					ends++
				}
			}
			if ends != 1 {
				t.Errorf("the history has %d ends of job %s, want one", ends, x.job.ID)
			}
		}
	}()
	for _, x := range tracks {
		if got := stored(t, s, x.job.ID); !got.Status.Terminal() {
			c := takeover(t, s, x.job)
			if _, err := c.Lease.Finish(ctx, Finish{Status: ingest.Failed}); err != nil {
				t.Error(err)
			}
			x.ends.Add(1)
		}
		if got := x.ends.Load(); got != 1 {
			t.Errorf("job %s ended %d times, want once", x.job.ID, got)
		}
		if got := outbox(t, s, x.job.ID); got != "event" && got != "command event" {
			t.Errorf("job %s is over and the outbox holds %q, want its event", x.job.ID, got)
		}
	}
}
