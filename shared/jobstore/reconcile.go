package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// longestStall bounds the doubling wait between two times that a stalled job is handed out.
const longestStall = 24 * time.Hour

// Stalled hands out jobs that are not over and went without a live lease for Config.RepublishAfter,
// then for twice as long, and so on up to a day, for the caller to publish their commands again. A
// duplicate command is harmless; a lost one would leave its job queued for ever. It looks at limit
// jobs at most, and may return fewer while others wait: call it again later.
func (s *Store) Stalled(ctx context.Context, limit int) ([]ingest.Job, error) {
	const doing = "reading stalled jobs"
	longest := max(longestStall, s.cfg.RepublishAfter)
	r, err := s.run(ctx, doing, s.scripts.stalled, limit, milliseconds(s.cfg.RepublishAfter), milliseconds(longest))
	if err != nil {
		return nil, err
	}
	stalled, err := jobs(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return stalled, nil
}

// Sweep drops index and outbox entries of expired jobs, looking at limit of them at most, and
// returns how many jobs it dropped. Lists skip expired jobs meanwhile.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	r, err := s.run(ctx, "sweeping expired jobs", s.scripts.sweep, limit)
	if err != nil {
		return 0, err
	}
	return int(r.number(1)), nil
}

// Lead makes owner the leader for ttl, or keeps it so, unless another leads: of several gateways
// one reconciles. A leader that was frozen may still believe in its lead: what it does under it
// must be harmless when done twice.
func (s *Store) Lead(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
	r, err := s.run(ctx, "taking the lead", s.scripts.lead, owner, milliseconds(ttl))
	if err != nil {
		return false, err
	}
	return r.number(0) == 1, nil
}

// Resign gives the lead up, so that another need not wait for it to run out. It does nothing when
// owner does not lead.
func (s *Store) Resign(ctx context.Context, owner string) error {
	_, err := s.run(ctx, "resigning the lead", s.scripts.resign, owner)
	return err
}
