package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// The pause between two tries of a server that does not answer, which doubles from one to the next.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 3 * time.Second
)

// await asks until the server answers, for so long at most. A refusal that will not pass, as of a
// login, ends the wait at once.
func await(ctx context.Context, s pinger, within time.Duration, log *slog.Logger) error {
	limit, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it did not answer within %s", within))
	defer cancel()
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := s.Ping(limit)
		switch {
		case err == nil:
			return nil
		case limit.Err() != nil: // the answer is the end of our patience, not the server's
		case !ingest.IsTransient(err):
			return err
		case last == nil || last.Error() != err.Error():
			log.Info("waiting for the server", "error", err)
			last = err
		}
		select {
		case <-limit.Done():
			return errors.Join(context.Cause(limit), last)
		case <-time.After(pause):
		}
	}
}
