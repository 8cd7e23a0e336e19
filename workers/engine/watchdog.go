package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// errSilent ends the work on a source that has fallen silent.
var errSilent = errors.New("the source sent nothing for too long")

// looks is how often a watchdog looks for signs of life within its limit.
const looks = 8

// watchdog ends the work on a source that shows no sign of life for too long. A frozen server, or a
// connection whose other end has vanished, would otherwise hold a job for ever: its lease is renewed
// all the same. The time that the lake takes is not held against the source; the time that rows wait
// in a buffer of the server, of some KiB, is.
type watchdog struct {
	alive atomic.Bool // something was heard since the latest look
	idle  atomic.Bool // nothing is expected of the source
}

// watched calls f, which waits for the source, and ends its context once nothing was heard for as
// long as limit, or a look longer. An error of f that follows from that is one that may pass. What f
// has opened under its context may live on: it does not end with f.
func watched[T any](ctx context.Context, limit time.Duration, f func(context.Context, *watchdog) (T, error)) (T, error) {
	ctx, expire := context.WithCancelCause(ctx) // a session is of use after f: it ends with the caller's
	w := &watchdog{}
	over := make(chan struct{})
	stop := sync.OnceFunc(func() { close(over) })
	defer stop() // after a panic
	go w.run(limit, over, expire)

	result, err := f(ctx, w)
	stop()
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		err = ingest.Transient(ingest.SourceUnavailable, err, "the source sent nothing for %v", limit)
	}
	return result, err
}

// run looks for signs of life until there was none for too long, or over is closed.
func (w *watchdog) run(limit time.Duration, over <-chan struct{}, expire context.CancelCauseFunc) {
	tick := time.NewTicker(max(limit/looks, 1))
	defer tick.Stop()
	for silent := 0; silent < looks; silent++ {
		select {
		case <-tick.C:
		case <-over:
			return
		}
		if w.idle.Load() || w.alive.Swap(false) {
			silent = -1
		}
	}
	expire(errSilent)
}

// heard notes a sign of life. It costs next to nothing, so that each row can be one.
func (w *watchdog) heard() {
	if !w.alive.Load() {
		w.alive.Store(true)
	}
}

// pause has it expect nothing until resume.
func (w *watchdog) pause() { w.idle.Store(true) }

// resume has it expect something again, from now on.
func (w *watchdog) resume() {
	w.alive.Store(true)
	w.idle.Store(false)
}
