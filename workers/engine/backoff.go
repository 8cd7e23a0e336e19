package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff waits longer and longer between tries, with jitter: from 100 ms up to 5 s.
type backoff struct{ next time.Duration }

func newBackoff() *backoff { return &backoff{next: 100 * time.Millisecond} }

// sleep waits and reports whether ctx still lives.
func (b *backoff) sleep(ctx context.Context) bool {
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer timer.Stop()
	b.next = min(2*b.next, 5*time.Second)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
