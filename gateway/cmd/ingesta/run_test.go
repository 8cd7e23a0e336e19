package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// want fails the test when the text lacks one of the parts.
func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

func TestRunAndWait(t *testing.T) {
	s := newSystem(t)
	waiting := s.begin(t.Context(), "run", "mysql", "--wait")
	job := s.newest()
	waiting.saysEventually(t, "mysql: queued")
	lease := s.claim(job)
	progress := job.Results[:1]
	progress[0].State, progress[0].Rows, progress[0].EstimatedRows, progress[0].Bytes = ingest.Exporting, 60, 150, 1024
	if _, err := lease.Renew(t.Context(), progress); err != nil {
		t.Fatal(err)
	}
	waiting.saysEventually(t, "mysql users: 60 rows of about 150, 1.0 kB")
	s.finish(lease, job, ingest.Success)
	got := waiting.end()
	if got.code != program.ExitOK {
		t.Errorf("exit %d", got.code)
	}
	want(t, got.stdout, "DATABASE  DATASET  STATE  ROWS    SIZE  OBJECT", "mysql     users    done    150  4.1 kB  s3://bucket/mysql/users_")
	want(t, got.stderr, "mysql: running", "mysql users: done, 150 rows", "mysql: success after", job.ID)
	if strings.Contains(got.stdout+got.stderr, "\x1b") {
		t.Errorf("it draws where there is no terminal:\n%q", got.stdout+got.stderr)
	}
}

// How a job ends is how waiting for it ends; as JSON it is one value.
func TestEndsAreExitCodes(t *testing.T) {
	s := newSystem(t)
	for status, code := range map[ingest.Status]int{ingest.Success: 0, ingest.Partial: exitJobPartial, ingest.Failed: exitJobFailed} {
		waiting := s.begin(t.Context(), "run", "mysql", "--wait", "--output", "json")
		job := s.newest()
		s.finish(s.claim(job), job, status)
		got := waiting.end()
		if ended := one[ingest.Job](t, got.stdout); got.code != code || ended.Status != status || ended.ID != job.ID {
			t.Errorf("%s: exit %d, want %d, and the job %+v", status, got.code, code, ended)
		}
		if status != ingest.Success {
			want(t, got.stderr, "do what it left undone: ingesta retry "+job.ID+" --wait")
		}
		// What shows a job without waiting for it succeeds, whatever became of it.
		if got := s.ingesta("job", job.ID); got.code != 0 || !strings.Contains(got.stdout, string(status)) {
			t.Errorf("%s: job: exit %d:\n%s", status, got.code, got.stdout)
		}
		if got := s.ingesta("job", job.ID, "--watch", "--output", "json"); got.code != code || one[ingest.Job](t, got.stdout).Status != status {
			t.Errorf("%s: job --watch: exit %d, want %d:\n%s", status, got.code, code, got.stdout)
		}
	}
	waiting := s.begin(t.Context(), "run", "mysql", "--wait")
	job := s.newest()
	want(t, s.must("cancel", job.ID), "cancelled")
	if got := waiting.end(); got.code != exitJobFailed {
		t.Errorf("cancelled: exit %d, want %d", got.code, exitJobFailed)
	}
	if got := s.ingesta("cancel", job.ID, "--wait"); got.code != exitRefused {
		t.Errorf("cancelled again: exit %d, want %d", got.code, exitRefused)
	}
	want(t, s.must("retry", job.ID), "queued", "users, compras")
}

func TestRunAll(t *testing.T) {
	s := newSystem(t)
	want(t, s.must("run", "all"), "mongodb", "mysql", "postgresql", "queued")
	list := one[struct{ Jobs []client.Accepted }](t, s.must("run", "all", "--output", "json"))
	if len(list.Jobs) != 3 {
		t.Errorf("%d jobs, want one of each database", len(list.Jobs))
	}
	if got := s.ingesta("run", "all", "--dataset", "users"); got.code != program.ExitUsage {
		t.Errorf("exit %d, want %d: %s", got.code, program.ExitUsage, got.stderr)
	}
	again := s.must("run", "mysql", "--dataset", "users", "--idempotency-key", "k", "--output", "json")
	if first, second := one[ingest.Job](t, again), one[ingest.Job](t, s.must("run", "mysql", "--dataset", "users", "--idempotency-key", "k", "--output", "json")); first.ID != second.ID {
		t.Errorf("one key made the jobs %s and %s", first.ID, second.ID)
	}
}

// What is under way already is joined, or stands in the way.
func TestConflicts(t *testing.T) {
	s := newSystem(t)
	first := one[ingest.Job](t, s.must("run", "mysql", "--output", "json"))
	joined := s.ingesta("run", "mysql", "--on-conflict", "join", "--output", "json")
	if job := one[client.Accepted](t, joined.stdout); joined.code != program.ExitOK || job.ID != first.ID || !job.Deduplicated {
		t.Errorf("joining: %+v", joined)
	}
	want(t, joined.stderr, "mysql: joined job "+first.ID)
	rejected := s.ingesta("run", "all", "--on-conflict", "reject")
	if rejected.code != exitRefused || rejected.stdout != "" {
		t.Errorf("rejected: %+v", rejected)
	}
	want(t, rejected.stderr, "`ingesta job "+first.ID+" --watch` follows it", "--on-conflict join")
	if other := one[client.Accepted](t, s.must("run", "mysql", "--output", "json")); other.ID == first.ID || other.Deduplicated {
		t.Errorf("without a word it is %+v, want a job more", other)
	}
}

// A gateway that stops and comes back ends no wait.
func TestGatewayRestarts(t *testing.T) {
	s := newSystem(t)
	waiting := s.begin(t.Context(), "run", "mysql", "--wait")
	job := s.newest()
	waiting.saysEventually(t, "mysql: queued")
	s.stop()
	waiting.saysEventually(t, "trying again in 2s")
	s.start()
	s.finish(s.claim(job), job, ingest.Success)
	got := waiting.end()
	if got.code != program.ExitOK {
		t.Errorf("%+v", got)
	}
	want(t, got.stderr, "was lost; trying again in 2s", "mysql: success after")
}

// Who stops waiting is told that the job goes on, and it does.
func TestInterruptedWait(t *testing.T) {
	s := newSystem(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	waiting := s.begin(ctx, "run", "mysql", "--wait")
	waiting.saysEventually(t, "mysql: queued")
	interrupt()
	got := waiting.end()
	job := s.newest()
	if got.code != exitInterrupted || got.stdout != "" {
		t.Errorf("exit %d, want %d; it printed %q", got.code, exitInterrupted, got.stdout)
	}
	want(t, got.stderr, "job "+job.ID+" goes on. Follow it: ingesta job "+job.ID+" --watch; end it: ingesta cancel "+job.ID)

	late := s.ingesta("job", job.ID, "--watch", "--timeout", "3s")
	if late.code != exitTimeout {
		t.Errorf("exit %d, want %d", late.code, exitTimeout)
	}
	want(t, late.stderr, "goes on", "gave up after 3s: --timeout allows more")
}

// The signal that a terminal's Ctrl-C sends does the same to the program itself.
func TestSignal(t *testing.T) {
	s := newSystem(t)
	var stderr screenText
	var stdout bytes.Buffer
	cmd := exec.Command(os.Args[0], "run", "mysql", "--wait")
	cmd.Env = append(slices.Clone(s.environ), asProgram+"=yes")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "it waits", func() bool { return strings.Contains(stderr.String(), "mysql: queued") })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // how it ended is looked at below
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || stdout.Len() > 0 {
		t.Errorf("exit %d, want %d; it printed %q", code, exitInterrupted, &stdout)
	}
	want(t, stderr.String(), "goes on", "ingesta cancel")
}
