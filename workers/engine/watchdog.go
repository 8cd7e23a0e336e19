package engine

import (
	"context"
	"errors"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// errSilent ends the work on a source that has fallen silent.
var errSilent = errors.New("the source sent nothing for too long")

// watchdog ends the work on a source that shows no sign of life for too long. A frozen server, or a
// connection whose other end has vanished, would otherwise hold a job for ever: its lease is renewed
// all the same. The time that the lake takes is not held against the source.
type watchdog struct {
	limit time.Duration
	timer *time.Timer
}

// watch returns a context that ends when nobody has called heard for as long as limit, and the
// watchdog, which must be stopped.
func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, bite := context.WithCancelCause(ctx)
	return ctx, &watchdog{limit: limit, timer: time.AfterFunc(limit, func() { bite(errSilent) })}
}

// heard notes a sign of life.
func (w *watchdog) heard() { w.timer.Reset(w.limit) }

// stop has it wait for nothing any more, until something is heard again.
func (w *watchdog) stop() { w.timer.Stop() }

// explain returns err, or what it amounts to when it is the end of the watched context.
func (w *watchdog) explain(watched context.Context, err error) error {
	if err == nil || !errors.Is(context.Cause(watched), errSilent) {
		return err
	}
	return ingest.Transient(ingest.SourceUnavailable, err, "the source sent nothing for %v", w.limit)
}
