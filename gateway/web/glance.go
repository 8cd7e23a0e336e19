package web

import (
	"context"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
)

// freshness is how old the state of the system may be that pages show. It keeps the number of probes
// apart from the number of pages that are open.
const freshness = 2 * time.Second

// glance shares one look at the system among all who want one.
type glance struct {
	prober Prober
	now    func() time.Time

	mu     sync.Mutex
	health jobs.Health
	at     time.Time     // when it was taken; zero: never
	taking chan struct{} // closed when the look that is under way has ended; nil: none is
}

func newGlance(p Prober, now func() time.Time) *glance { return &glance{prober: p, now: now} }

// look returns the state of the system, fresh enough, or the latest known one when ctx ends before. Who
// comes first looks for all who come meanwhile, and to the end even when they leave: it takes seconds
// at most.
func (g *glance) look(ctx context.Context) jobs.Health {
	g.mu.Lock()
	switch taking := g.taking; {
	case g.now().Sub(g.at) < freshness:
		g.mu.Unlock()
	case taking != nil:
		g.mu.Unlock()
		select {
		case <-taking:
		case <-ctx.Done():
		}
	default:
		taken := make(chan struct{})
		g.taking = taken
		g.mu.Unlock()
		health := g.prober.Health(context.WithoutCancel(ctx))
		g.mu.Lock()
		g.health, g.at, g.taking = health, g.now(), nil
		g.mu.Unlock()
		close(taken)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.health
}
