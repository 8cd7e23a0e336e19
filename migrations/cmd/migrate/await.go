package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// The pauses between looks at a server that is not there yet: short at first, for one that is
// just starting.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// await looks at a server again and again until look succeeds, fails for good, or ctx ends. look
// says of a failure whether it may pass. The error is look's last one.
func await(ctx context.Context, server string, log *slog.Logger, look func(context.Context) (mayPass bool, err error)) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		mayPass, err := look(ctx)
		if err == nil {
			return nil
		}
		if !mayPass {
			return err
		}
		if ctx.Err() == nil {
			log.Info("waiting for a server", "server", server, "again_in", pause, "cause", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("waiting for it: %w: %w", context.Cause(ctx), err)
		}
	}
}
