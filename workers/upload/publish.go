package upload

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// condition is what must stand at the key for a write to happen: nothing, or the object with this
// ETag.
type condition struct{ replaces string }

// headers returns If-None-Match and If-Match.
func (c condition) headers() (ifNoneMatch, ifMatch *string) {
	if c.replaces == "" {
		return aws.String("*"), nil
	}
	return nil, &c.replaces
}

// publish makes an object visible at key and returns its ETag. write tries it once, under a
// condition; guard is asked before each try.
//
// Every answer that leaves a doubt is settled by looking at what stands at the key: our own
// object is a success whose reply was lost, an older one of the same job is replaced under its
// ETag, a newer one means that the lease is lost, and anybody else's stays. Nothing is ever
// deleted to make room.
func (s *Store) publish(
	ctx context.Context, doing, key string, writer stamp,
	guard func(context.Context) error, write func(context.Context, condition) (etag string, err error),
) (string, error) {
	var when condition
	for try := 1; ; try++ {
		if err := guard(ctx); err != nil {
			return "", err
		}
		etag, err := write(ctx, when)
		if err == nil {
			return etag, nil
		}
		if ctx.Err() != nil || !doubtful(err) {
			return "", s.failure(ctx, doing, err)
		}
		there, headErr := s.head(ctx, key)
		if headErr != nil {
			return "", headErr
		}
		switch there.against(writer) {
		case mine:
			return there.etag, nil
		case newer:
			return "", leaseLost(key)
		case foreign:
			return "", objectConflict(key)
		case older:
			when.replaces = there.etag
		case absent:
			when.replaces = ""
		}
		if gone(err) {
			// Somebody aborted the upload: whoever took the job over, as guard then knows, or an operator.
			if lost := guard(ctx); lost != nil {
				return "", lost
			}
			return "", s.failure(ctx, doing, err)
		}
		// A refused condition is an answer: even where each request is tried once, the one that takes
		// the answer into account is due.
		if learned := try == 1 && status(err) == http.StatusPreconditionFailed; try >= s.cfg.Attempts && !learned {
			return "", s.failure(ctx, doing, err)
		}
		if err := s.pause(ctx, try, err); err != nil {
			return "", s.failure(ctx, doing, err)
		}
	}
}

// doubtful reports whether a conditional write that failed with err may have happened all the
// same, or may happen under another condition.
func doubtful(err error) bool {
	switch status := status(err); status {
	case 0:
		return unreachable(err) // otherwise the request never left
	case http.StatusPreconditionFailed, http.StatusConflict, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotFound:
		return gone(err)
	case http.StatusNotImplemented:
		return false
	default:
		return status >= 500 || status < 300 // a success whose body broke off, or tells of a failure
	}
}

// gone reports whether the upload that was to be completed does not exist (any more).
func gone(err error) bool { return apiCode(err) == "NoSuchUpload" }

// pause waits as the SDK would before its next try. A refused condition needs no waiting.
func (s *Store) pause(ctx context.Context, try int, err error) error {
	if status(err) == http.StatusPreconditionFailed {
		return nil
	}
	delay, delayErr := s.retryer.RetryDelay(try, err)
	if delayErr != nil {
		return delayErr
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
