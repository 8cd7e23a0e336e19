package jobstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// The answers that are not a success. All of them are matched with errors.Is.
var (
	// ErrNotFound: no such job, or it expired.
	ErrNotFound = errors.New("no such job")
	// ErrTerminal: the job is over, and over is final.
	ErrTerminal = errors.New("the job is over")
	// ErrIdempotencyMismatch: the idempotency key was used before, for another request.
	ErrIdempotencyMismatch = errors.New("the idempotency key was used for another request")
	// ErrBadCursor: the cursor is not one that List gave out for this query.
	ErrBadCursor = errors.New("the cursor is not valid for this query")
	// ErrLeaseLost: another attempt owns the job, or the job ended without this one. It carries
	// the code ingest.LeaseLost.
	ErrLeaseLost error = ingest.Permanent(ingest.LeaseLost, nil, "another attempt owns the job, or it is over")
	// ErrCancelRequested: the job cannot be given back because its cancellation was asked for: its
	// holder is to clean up and finish it as cancelled.
	ErrCancelRequested error = ingest.Permanent(ingest.JobCancelled, nil, "the job's cancellation was requested")
	// ErrUnavailable: Redis cannot be reached, or cannot do its work at present. Whether the call
	// took effect is unknown; it may be repeated.
	ErrUnavailable = errors.New("redis is unavailable")
)

// temporary lists the replies by which a server says that it cannot work now, or not for us.
var temporary = []string{
	"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "OOM", "BUSY",
	"NOAUTH", "WRONGPASS", "NOPERM", "max number of clients",
}

// wrap names what was being done under ctx and tells an unavailable server from a defect. That the
// caller cancelled ctx is no fault of the server; that its time ran out is.
func wrap(ctx context.Context, doing string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w: %w", doing, ctx.Err(), err)
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
		for _, code := range temporary {
			if saysCode(reply, code) {
				return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
			}
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}

// saysCode reports whether the reply begins with the code. Servers before 7.0 quote such a reply
// within another when a script runs into it.
func saysCode(reply redis.Error, code string) bool {
	return redis.HasErrorPrefix(reply, code) || strings.Contains(reply.Error(), "-"+code+" ")
}
