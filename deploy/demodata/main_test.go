package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// execute runs the program and returns its exit code and all that it said.
func execute(ctx context.Context, environ []string, args ...string) (code int, stdout, stderr string) {
	var out, complaints bytes.Buffer
	code = run(ctx, program.Process{Args: args, Environ: environ, Stdout: &out, Stderr: &complaints})
	return code, out.String(), complaints.String()
}

func TestConfiguration(t *testing.T) {
	logins := []string{"SOURCE_MYSQL_PASSWORD=x", "POSTGRES_PASSWORD=x"}
	tests := map[string]struct {
		environ []string
		args    []string
		code    int
		says    string
	}{
		"all three":                     {logins, nil, program.ExitOK, "valid"},
		"a password that is missing":    {logins[1:], nil, program.ExitUsage, "SOURCE_MYSQL_PASSWORD (or MYSQL_PASSWORD) is required"},
		"that is not needed":            {logins[1:], []string{"-only", "mongodb", "-only", "postgresql"}, program.ExitOK, "valid"},
		"a database that there is not":  {logins, []string{"-only", "oracle"}, program.ExitUsage, "use mongodb, mysql, postgresql"},
		"rows that are none":            {append(logins, "DEMO_ROWS=none"), nil, program.ExitUsage, "DEMO_ROWS"},
		"several mistakes at once: one": {[]string{"DEMO_ROWS=none"}, nil, program.ExitUsage, "SOURCE_MYSQL_PASSWORD"},
		"several mistakes at once: two": {[]string{"DEMO_ROWS=none"}, nil, program.ExitUsage, "POSTGRES_PASSWORD"},
		"production":                    {append(logins, "INGESTA_ENV=production"), nil, program.ExitUsage, "demonstration data has no place there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t.Context(), test.environ, append(test.args, "-check-config")...)
			if code != test.code || !strings.Contains(stdout+stderr, test.says) {
				t.Errorf("exit code %d and %q; want %d and %q", code, stdout+stderr, test.code, test.says)
			}
		})
	}
}

// answers is a server that gives one answer after the other, and the last one again and again.
type answers []error

func (a *answers) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	answer := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	return answer
}

func TestAwait(t *testing.T) {
	away := ingest.Transient(ingest.SourceUnavailable, errors.New("connection refused"), "it cannot be reached")
	denied := ingest.Permanent(ingest.SourceDenied, errors.New("access denied"), "it refused the login")
	tests := map[string]struct {
		server answers
		within time.Duration
		says   string // of the error; empty: none
	}{
		"a server that answers":       {answers{nil}, time.Minute, ""},
		"one that comes up":           {answers{away, away, nil}, time.Minute, ""},
		"one that refuses the login":  {answers{away, denied}, time.Minute, "access denied"},
		"one that stays away":         {answers{away}, 300 * time.Millisecond, "did not answer within 300ms"},
		"one that stays away, quoted": {answers{away}, 300 * time.Millisecond, "connection refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			err := await(t.Context(), &test.server, test.within, slog.New(slog.NewTextHandler(&log, nil)))
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
			if n := strings.Count(log.String(), "\n"); n > 1 {
				t.Errorf("the same answer is logged %d times:\n%s", n, log.String())
			}
		})
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by a signal")
	server := &answers{ingest.Transient(ingest.SourceUnavailable, nil, "it cannot be reached")}
	time.AfterFunc(50*time.Millisecond, func() { cancel(stopped) })
	if err := await(ctx, server, time.Minute, slog.New(slog.DiscardHandler)); !errors.Is(err, stopped) {
		t.Errorf("got %v, want %v", err, stopped)
	}
}
