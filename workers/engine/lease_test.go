package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// A cancellation that no change tells of is noticed all the same, and long before the renewal that
// is due next: one that came before the attempt could hear of changes, and one that came while the
// subscription to them was broken.
func TestUnheardCancellation(t *testing.T) {
	for name, cancelAfter := range map[string]bool{"before the first renewal": false, "before a subscription": true} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, exports{}, "INGESTA_LEASE_RENEW=1h", "INGESTA_LEASE_GIVE_UP=2h")
			s.parts.Metrics = prometheus.NewRegistry()
			e, err := New(s.cfg, ingest.MySQL, s.parts)
			if err != nil {
				t.Fatal(err)
			}
			job := s.submit()
			claim, err := s.jobs.Claim(t.Context(), jobstore.ClaimRequest{Command: job.Command(), Worker: "w"})
			if err != nil {
				t.Fatal(err)
			}
			a := &attempt{Engine: e, claim: claim, board: newBoard(claim.Job.Results), log: s.parts.Log, due: make(chan struct{}, 1)}
			a.board.set(0, broken(a.board.get(0), ingest.TableNotFound, "no such table"))
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			defer e.track(a, cancel)()
			if !cancelAfter {
				s.requestCancel(job.ID)
			}
			defer a.keepLease(t.Context(), cancel)()
			if cancelAfter {
				stacktest.Eventually(t, "the first renewal has told of the progress", func() bool {
					got, err := s.jobs.Get(t.Context(), job.ID)
					return err == nil && got.Results[0].State == ingest.Broken
				})
				s.requestCancel(job.ID)
				s.background(func(ctx context.Context) error {
					e.heedCancellations(ctx)
					return nil
				})
			}
			select {
			case <-ctx.Done():
				if cause := context.Cause(ctx); !errors.Is(cause, errCancelled) {
					t.Errorf("the attempt was stopped with %v, want the cancellation", cause)
				}
			case <-time.After(patience):
				t.Error("the attempt did not notice its cancellation")
			}
		})
	}
}
