package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
)

// await asks until the server answers, for so long at most. A refusal that will not pass, as of a
// login, ends the wait at once.
func await(ctx context.Context, s pinger, within time.Duration, log *slog.Logger) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it did not answer within %s", within))
	defer cancel()
	return program.Await(ctx, log, func(ctx context.Context) (mayPass bool, err error) {
		err = s.Ping(ctx)
		return ingest.IsTransient(err), err
	})
}
