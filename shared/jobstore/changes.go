package jobstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Change says that a job changed: its status, its progress, or that its cancellation was
// requested. It is a hint to look again, not a record: changes may be lost or come twice. What was
// lost of transitions, which is all but progress, History has.
type Change struct {
	ID              string
	Status          ingest.Status
	CancelRequested bool
	Position        Position // of a transition: its place in the history; else empty
}

// Waits of a subscription.
const (
	quiet     = 10 * time.Second // without a message, before the server is asked for a sign of life
	pauseMin  = 100 * time.Millisecond
	pauseMax  = 5 * time.Second
	pauseRise = 2
)

// Changes calls f with every change of any job until ctx ends, then returns nil. It subscribes
// again by itself whenever the connection is lost; after each subscription, the first included, it
// calls f with a zero Change, because what happened before went unheard: read again what matters.
// f is called from one goroutine and delays further changes while it runs. The only error is that
// of a closed store.
func (s *Store) Changes(ctx context.Context, f func(Change)) error {
	pause := pauseMin
	for ctx.Err() == nil {
		heard, err := s.subscription(ctx, f)
		if errors.Is(err, redis.ErrClosed) && ctx.Err() == nil {
			return wrap(ctx, "listening for changes", err)
		}
		if heard {
			pause = pauseMin
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(pause*pauseRise, pauseMax)
	}
	return nil
}

// subscription serves one subscription until it fails, and reports whether it was ever up.
func (s *Store) subscription(ctx context.Context, f func(Change)) (heard bool, err error) {
	sub := s.client.Subscribe(ctx, s.prefix+"changes")
	defer func() { _ = sub.Close() }()
	// A blocked read does not see the end of its context: closing ends it.
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()

	asked := false // for a sign of life, unanswered so far
	for {
		received, err := sub.ReceiveTimeout(ctx, quiet)
		if timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); ok && timeout.Timeout() && heard && !asked {
			if err := sub.Ping(ctx); err != nil {
				return heard, err
			}
			asked = true
			continue
		}
		if err != nil {
			return heard, err
		}
		asked = false
		switch message := received.(type) {
		case *redis.Subscription:
			heard = true
			f(Change{})
		case *redis.Message:
			if change, ok := parseChange(message.Payload); ok {
				f(change)
			}
		}
	}
}

// parseChange reads "<id> <status> <0 or 1>" and, after a transition, its position. Workers of the
// version before leave that out.
func parseChange(payload string) (Change, bool) {
	parts := strings.Split(payload, " ")
	if len(parts) != 3 && len(parts) != 4 {
		return Change{}, false
	}
	status, err := ingest.ParseStatus(parts[1])
	if err != nil {
		return Change{}, false
	}
	change := Change{ID: parts[0], Status: status, CancelRequested: parts[2] == "1"}
	if len(parts) == 4 {
		change.Position = Position(parts[3])
	}
	return change, true
}
