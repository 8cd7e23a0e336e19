package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// screen shows how far jobs are. Its methods are called one after the other.
type screen interface {
	show(job ingest.Job)
	note(text string) // a line that stays
	close()
}

// follow waits for the end of the jobs, shows meanwhile how far they are, and returns them as they
// ended. Each state is handed to tell too, unless that is nil. When it is interrupted or out of time,
// it says that the jobs go on.
func (t *tool) follow(ctx context.Context, c *client.Client, jobs []ingest.Job, tell func(ingest.Job) error) ([]ingest.Job, error) {
	latest := make([]ingest.Job, len(jobs))
	copy(latest, jobs)
	s := t.newScreen(jobs)
	var mu sync.Mutex // guards screen, latest and tell
	t.screen = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		s.note(text)
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	failures := make([]error, len(jobs))
	var watchers sync.WaitGroup
	for i, job := range jobs {
		watchers.Go(func() {
			failures[i] = c.Watch(watching, job.ID, func(job ingest.Job) error {
				mu.Lock()
				defer mu.Unlock()
				latest[i] = job
				s.show(job)
				if tell != nil {
					return tell(job)
				}
				return nil
			})
			if failures[i] != nil {
				stop() // the others are not waited for in vain
			}
		})
	}
	watchers.Wait()
	t.screen = nil
	s.close()
	err := firstCause(ctx, failures)
	if err != nil {
		t.tellGoingOn(latest)
		return latest, err
	}
	for _, job := range latest {
		t.note("%s", t.ending(job))
	}
	return latest, nil
}

// firstCause returns why watching ended before the jobs did: the end of a watcher that another's failure
// has stopped says nothing.
func firstCause(ctx context.Context, failures []error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var stopped error
	for _, err := range failures {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		stopped = errors.Join(stopped, err)
	}
	return stopped
}

// tellGoingOn says which jobs go on without us.
func (t *tool) tellGoingOn(jobs []ingest.Job) {
	for _, job := range jobs {
		if !job.Status.Terminal() {
			t.note("%s: job %s goes on. Follow it: ingesta job %s --watch; end it: ingesta cancel %s", job.Database, job.ID, job.ID, job.ID)
		}
	}
}

// newScreen returns bars where there is a terminal, lines elsewhere, nothing for JSON that is read by a
// program.
func (t *tool) newScreen(jobs []ingest.Job) screen {
	if t.isTerminal(t.process.Stderr) {
		return newBars(t.process.Stderr, t.terminalSize, t.colours(t.process.Stderr), !t.isTerminal(t.process.Stdout) || t.asJSON(), t.now, jobs)
	}
	return &lines{w: t.process.Stderr, now: t.now, seen: map[string]string{}}
}

// describe says what a job as a whole is at.
func describe(job ingest.Job) string {
	said := string(job.Status)
	switch {
	case job.CancelRequested && !job.Status.Terminal():
		said += ", being cancelled"
	case job.Status == ingest.Running && job.Attempt > 1:
		said += fmt.Sprintf(", attempt %d", job.Attempt)
	case job.Status == ingest.Queued && job.Attempt > 0 && !job.NextAttemptAt.IsZero():
		said += fmt.Sprintf(" for attempt %d", job.Attempt+1)
		if last := job.Attempts; len(last) > 0 && last[len(last)-1].Code != "" {
			said += " after " + string(last[len(last)-1].Code)
		}
	}
	return clean(strings.TrimSpace(said))
}
