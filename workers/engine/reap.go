package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// reap aborts, once per interval, what crashed workers left of multipart uploads and nobody else
// comes by to abort. The first round is after a random part of the interval, so that workers which
// were started together do not reap together.
func (e *Engine) reap(ctx context.Context) {
	timer := time.NewTimer(rand.N(e.cfg.ReapInterval))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if err := e.reapRound(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("looking for uploads that nobody works on failed; it will be tried again", "error", err)
		}
		timer.Reset(e.cfg.ReapInterval)
	}
}

// reapRound aborts the uploads that are old enough, stand at keys that jobs of this database write,
// are not being written by this process, and are of no job that is still open: another worker may
// be writing those. While S3 or Redis cannot say so, it aborts none. One that cannot be aborted does
// not keep it from the others.
func (e *Engine) reapRound(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.ReapInterval, errors.New("a round of the reaper timed out"))
	defer cancel()
	stale, err := e.Lake.StaleUploads(ctx, e.cfg.KeyTemplate.Prefix(e.database.Name), e.cfg.ReapAge, e.ours)
	if err != nil || len(stale) == 0 {
		return err
	}
	// After the list, or a job that is accepted in between would have an upload and not be open.
	open, err := e.Jobs.OpenKeys(ctx, e.database.Name)
	if err != nil {
		return err
	}
	var problems []error
	for _, u := range stale {
		if open[u.Key] {
			continue
		}
		if err := e.Lake.AbortUpload(ctx, u); err != nil {
			problems = append(problems, fmt.Errorf("reaping the upload %s: %w", u.ID, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		e.metrics.reaped.Inc()
		e.Log.Info("an upload was reaped that nobody worked on", "key", u.Key, "upload_id", u.ID, "age_seconds", u.Age.Seconds())
	}
	return errors.Join(problems...)
}
