package jobs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// Watch calls f with the job as it is, then after each change, at most four times a second: changes in
// between come as one. It returns nil after f has seen the end. A Redis that goes away meanwhile keeps
// f waiting and no more; no end is missed for it.
//
// Other errors are f's, which ends the watch, that of ctx, and before f was called a NotFound or
// StoreUnavailable *Error. The job is shared: f must not change what its fields refer to.
func (s *Service) Watch(ctx context.Context, id string, f func(ingest.Job) error) error {
	w := s.hub.join(id)
	defer w.leave()
	for {
		job, err := w.next(ctx)
		if err != nil {
			return s.translate(id, err)
		}
		begun := time.Now()
		if err := f(job); err != nil {
			return err
		}
		if job.Status.Terminal() {
			return nil
		}
		if err := pause(ctx, interval-time.Since(begun)); err != nil {
			return err
		}
	}
}

// Update is the latest state of a job that changed.
type Update struct {
	Job      ingest.Job
	Position string // of its latest transition; empty for progress
}

// ErrPositionLost is the error when the history of transitions does not reach back to the position. List
// the jobs anew, and watch from now on.
var ErrPositionLost = jobstore.ErrPositionLost

// WatchAll calls f with each job that changes, at most four times a second for each: from now on or,
// with after, first with those that changed since that position. It calls ready once, before f, with the
// position from which on f misses nothing; whoever lists the jobs after that has seen them all. The positions
// that f sees grow, and whoever comes back with the latest misses no transition since. Someone too slow
// for all changes sees the latest state of each job.
//
// A Redis that goes away keeps f waiting and no more. Errors are those of ready and f, which end the
// watch, that of ctx, ErrPositionLost, and before ready a StoreUnavailable *Error. Jobs are shared: f must
// not change what their fields refer to.
func (s *Service) WatchAll(ctx context.Context, after string, ready func(position string) error, f func(Update) error) error {
	if err := s.store.Ping(ctx); err != nil {
		return s.translate("", err)
	}
	l, err := s.hub.listen(ctx)
	if err != nil {
		return err
	}
	defer l.leave()
	var missed []jobstore.Change
	if after != "" {
		l.at = jobstore.Position(after)
		if missed, err = s.hub.missed(ctx, l.at); err != nil {
			return s.translate("", err)
		}
	}
	if err := ready(string(l.at)); err != nil {
		return err
	}
	for {
		begun := time.Now()
		if err := s.tellMissed(ctx, l, missed, f); err != nil {
			return err
		}
		updates, news, behind := l.take()
		for _, u := range updates {
			if err := f(u); err != nil {
				return err
			}
		}
		if missed = nil; behind {
			missed, err = persist(ctx, func() ([]jobstore.Change, error) { return s.hub.missed(ctx, l.at) })
			if err != nil {
				return err
			}
		} else {
			select {
			case <-news:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := pause(ctx, interval-time.Since(begun)); err != nil {
			return err
		}
	}
}

// tellMissed tells of transitions that the history has, each job once, in the order of their latest.
func (s *Service) tellMissed(ctx context.Context, l *listener, missed []jobstore.Change, f func(Update) error) error {
	seen := map[string]bool{}
	var latest []jobstore.Change
	for _, change := range slices.Backward(missed) {
		if !seen[change.ID] {
			seen[change.ID] = true
			latest = append(latest, change)
		}
	}
	slices.Reverse(latest)
	for page := range slices.Chunk(latest, largestRead) {
		ids := make([]string, len(page))
		for i, change := range page {
			ids[i] = change.ID
		}
		found, err := persist(ctx, func() (map[string]ingest.Job, error) { return s.store.GetAll(ctx, ids) })
		if found == nil {
			return err
		}
		for _, change := range page {
			l.at = change.Position
			if job, ok := found[change.ID]; ok { // else it was discarded, or has expired
				if err := f(Update{Job: job, Position: string(change.Position)}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// persist reads again and again while Redis is away, until ctx ends.
func persist[T any](ctx context.Context, read func() (T, error)) (T, error) {
	for {
		result, err := read()
		if !errors.Is(err, jobstore.ErrUnavailable) {
			return result, err
		}
		if err := pause(ctx, awayRetry); err != nil {
			return result, err
		}
	}
}

// pause waits for a while, or until ctx ends, whose error it returns then.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wait returns the jobs, in the order of the ids, as soon as all are over, or as they were last
// seen when ctx ends. It costs nothing while nothing changes, and however many wait for a job it is read
// once for all of them; a Redis that goes away meanwhile prolongs the wait rather than ending it. It
// returns a NotFound *Error at once, and a StoreUnavailable one when ctx ends before each job was seen.
func (s *Service) Wait(ctx context.Context, ids []string) ([]ingest.Job, error) {
	watchers, jobs := make([]*watcher, len(ids)), make([]ingest.Job, len(ids))
	for i, id := range ids {
		watchers[i] = s.hub.join(id)
		defer watchers[i].leave()
	}
	for i, w := range watchers { // all of them first: one may not exist
		var err error
		if jobs[i], err = s.first(ctx, w); err != nil {
			return nil, err
		}
	}
	for i, w := range watchers {
		for !jobs[i].Status.Terminal() {
			job, err := w.next(ctx)
			if err != nil { // ctx has ended: the job has been seen
				break
			}
			jobs[i] = job
		}
	}
	return jobs, nil
}

// first returns the job as it is, as soon as Redis tells. It looks even when ctx has ended.
func (s *Service) first(ctx context.Context, w *watcher) (ingest.Job, error) {
	for {
		job, err := w.next(ctx)
		switch {
		case err == nil:
			return job, nil
		case ctx.Err() != nil:
			return s.Get(context.WithoutCancel(ctx), w.id)
		case !errors.Is(err, jobstore.ErrUnavailable):
			return job, s.translate(w.id, err)
		}
	}
}
