package program

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// The pauses between looks at a server that is not there yet: short at first, for one that is just
// starting.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 3 * time.Second
)

// Await looks at a server again and again until look succeeds, fails in a way that will not pass,
// or ctx ends; look says of a failure whether it may pass. It logs each new reason to wait. The
// error is look's, after the cause of ctx's end when that was what ended the wait.
func Await(ctx context.Context, log *slog.Logger, look func(context.Context) (mayPass bool, err error)) error {
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		mayPass, err := look(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil: // the answer is the end of our patience, not the server's
		case !mayPass:
			return err
		case last == nil || last.Error() != err.Error():
			log.Info("waiting for the server", "error", err)
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		case <-time.After(pause):
		}
	}
}
