package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Record is what must be known to find and stop a server later.
type Record struct {
	ID          ID     `json:"id"`
	Fingerprint string `json:"fingerprint"`
	Port        int    `json:"port"`
}

// Started is a server whose starter still watches it.
type Started struct {
	ID     ID
	ended  chan struct{}
	reason error // set before ended is closed
}

// Ended is closed when the server has ended by itself.
func (s *Started) Ended() <-chan struct{} { return s.ended }

// Reason says how it ended; only to be asked after Ended.
func (s *Started) Reason() error { return s.reason }

// keepLog is the size from which on a log is put aside at the next start.
const keepLog = 16 << 20

// Start starts the program in a session of its own, its output appended to the log. The log is opened
// here because the account may be unable to enter the folder. The process outlives the caller.
func Start(c Command, mark, log string) (*Started, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return nil, fmt.Errorf("making the log folder: %w", err)
	}
	if info, err := os.Stat(log); err == nil && info.Size() > keepLog {
		if err := os.Rename(log, log+".1"); err != nil {
			return nil, fmt.Errorf("putting the old log aside: %w", err)
		}
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer output.Close()
	fmt.Fprintf(output, "--- started %s\n", time.Now().UTC().Format(time.RFC3339))

	cmd := exec.Command(c.Path, c.Args...) //nolint:noctx // the process outlives the caller and its context
	cmd.Env = slices.Concat(c.Env, []string{MarkVariable + "=" + mark})
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = c.Account.attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	started := &Started{ID: id, ended: make(chan struct{})}
	// The goroutine lives as long as the server or this program, whichever ends first: the server is
	// meant to stay, and the kernel hands it over then.
	go func() {
		if started.reason = cmd.Wait(); started.reason == nil {
			started.reason = errors.New("it ended with exit code 0")
		}
		close(started.ended)
	}()
	return started, nil
}

// pollEvery is the pause between two looks at something that gives no notice.
const pollEvery = 100 * time.Millisecond

// Await repeats the probe until it succeeds. It gives up when the server ends, when the time is over, or with ctx;
// the error then holds the last answer of the probe. started is nil for a server that ran before.
func Await(ctx context.Context, started *Started, within time.Duration, probe func(context.Context) error) error {
	const probeTimeout = 5 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it was not ready within %s", within))
	defer cancel()
	var ended <-chan struct{}
	if started != nil {
		ended = started.Ended()
	}
	for {
		attempt, cancelAttempt := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer within %s", probeTimeout))
		err := probe(attempt)
		cancelAttempt()
		answered := err == nil
		if answered && started == nil {
			return nil
		}
		// An answer is believed once the process has outlived it: it may have come from another
		// program that holds the port, for which ours is about to end.
		select {
		case <-ended:
			return fmt.Errorf("it ended before it was ready: %w", started.Reason())
		case <-ctx.Done():
			if answered {
				return nil
			}
			return fmt.Errorf("%w; last answer: %w", context.Cause(ctx), err)
		case <-time.After(pollEvery):
			if answered {
				return nil
			}
		}
	}
}

// Tail is the end of a log, indented, for an error message.
func Tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return "    (no log: " + err.Error() + ")"
	}
	return indent(lastLines(string(text), 20))
}
