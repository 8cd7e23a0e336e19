package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/pharmavida/ingesta/shared/jobstore"
)

// How much one round of the reconciler takes on, and for how long.
const (
	roundTimeout = 60 * time.Second
	roundLimit   = 100
	leadRounds   = 3 // the lead outlives this many missed rounds
)

// reconcile mends, once per interval and on one gateway at a time, what a crash or an outage left
// undone. Everything it publishes may be a duplicate, and duplicates are harmless: commands of
// jobs that are over or running are put aside, and terminal events carry a stable id.
func (s *Service) reconcile(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.ReconcileInterval)
	defer ticker.Stop()
	troubled := ""
	for {
		err := s.round(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && err.Error() != troubled:
			s.log.Warn("reconciling failed and will be tried again", "error", err)
			troubled = err.Error()
		case err == nil && troubled != "":
			s.log.Info("reconciling works again")
			troubled = ""
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.resign(ctx)
			return
		}
	}
}

// resign hands the lead to whoever comes next, so that nobody has to wait for it to run out.
func (s *Service) resign(ctx context.Context) {
	ctx, cancel := detach(ctx, tidyTimeout, "resigning the lead timed out")
	defer cancel()
	if err := s.store.Resign(ctx, s.owner); err != nil {
		s.log.Debug("the lead could not be resigned and will run out", "error", err)
	}
	s.metrics.leads.Set(0)
}

// round does everything once, if this gateway leads. What fails is left for a later round.
func (s *Service) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, roundTimeout, errors.New("a round of the reconciler timed out"))
	defer cancel()
	leads, err := s.store.Lead(ctx, s.owner, roundTimeout+leadRounds*s.cfg.ReconcileInterval)
	if err != nil || !leads {
		s.metrics.leads.Set(0)
		return err
	}
	s.metrics.leads.Set(1)
	problems := []error{s.abandon(ctx), s.sweep(ctx)}
	// Messages that are handed out are put off: not while they cannot be published. That the
	// broker is away is the broker's to say.
	if s.broker.Ready(ctx) == nil {
		problems = append(problems, s.publishOverdue(ctx), s.publishStalled(ctx))
	}
	return errors.Join(problems...)
}

// abandon ends jobs whose cancellation was asked for and whose worker is gone. Their events, and
// the commands that have another worker clean up, go out with the overdue ones.
func (s *Service) abandon(ctx context.Context) error {
	ended, err := s.store.CancelAbandoned(ctx, roundLimit)
	for _, job := range ended {
		s.log.Info("a job whose worker is gone was cancelled", "job_id", job.ID, "database", job.Database)
	}
	s.metrics.repaired("abandon", len(ended), err)
	return err
}

// publishOverdue publishes the messages that were never confirmed.
func (s *Service) publishOverdue(ctx context.Context) error {
	pending, err := s.store.Overdue(ctx, s.cfg.OutboxAge, roundLimit)
	problems := []error{err}
	for _, p := range pending {
		action := "publish_event"
		if p.Kind == jobstore.CommandEntry {
			action = "publish_command"
			err = s.publishAgain(ctx, p)
		} else {
			err = s.publishEnd(ctx, p.Job, "")
		}
		if err == nil {
			s.log.Info("a message was published that had not been confirmed", "job_id", p.Job.ID, "database", p.Job.Database, "kind", p.Kind, "tries", p.Tries)
		}
		s.metrics.repaired(action, 1, err)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (s *Service) publishAgain(ctx context.Context, p jobstore.Pending) error {
	if err := s.broker.PublishCommand(ctx, p.Job.Command(), ""); err != nil {
		return err
	}
	return s.store.Settle(ctx, jobstore.CommandEntry, p.Job.ID)
}

// publishStalled publishes the commands of jobs that are not over and that nobody has worked on
// for long: the broker may have lost them.
func (s *Service) publishStalled(ctx context.Context) error {
	stalled, err := s.store.Stalled(ctx, roundLimit)
	problems := []error{err}
	for _, job := range stalled {
		err := s.broker.PublishCommand(ctx, job.Command(), "")
		s.log.Warn("a job was not worked on for long, and its command is published again", "job_id", job.ID, "database", job.Database, "published", err == nil)
		s.metrics.repaired("publish_stalled", 1, err)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// sweep drops what still points to jobs that expired.
func (s *Service) sweep(ctx context.Context) error {
	dropped, err := s.store.Sweep(ctx, roundLimit)
	s.metrics.repaired("sweep", dropped, err)
	return err
}

// repaired counts n repairs of one kind, or the failure to make them.
func (m metrics) repaired(action string, n int, err error) {
	outcome := "done"
	if err != nil {
		outcome, n = "failed", max(n, 1)
	}
	if n > 0 {
		m.repairs.WithLabelValues(action, outcome).Add(float64(n))
	}
}
