package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAwaitTellsWhyItGaveUp(t *testing.T) {
	notYet := func(context.Context) error { return errors.New("still loading") }
	err := Await(t.Context(), nil, 50*time.Millisecond, notYet)
	if err == nil || !strings.Contains(err.Error(), "not ready within 50ms") || !strings.Contains(err.Error(), "still loading") {
		t.Errorf("error %v, want the bound and the last answer", err)
	}

	log := filepath.Join(t.TempDir(), "log")
	started, err := Start(Command{Path: "/bin/sh", Args: []string{"-c", "echo no licence; exit 3"}, Dir: "/"}, Mark("test", t.Name()), log)
	if err != nil {
		t.Fatal(err)
	}
	err = Await(t.Context(), started, time.Minute, notYet)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want the server's exit status at once", err)
	}
	if tail := Tail(log); !strings.Contains(tail, "no licence") {
		t.Errorf("the log's end %q lacks what the server said", tail)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	if err := Await(ctx, nil, time.Minute, notYet); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("error %v, want the cause of the cancellation", err)
	}
}

// Another program may hold the port and answer in the place of one that could not start.
func TestAwaitDoesNotBelieveAStranger(t *testing.T) {
	started, err := Start(Command{Path: "/bin/sh", Args: []string{"-c", "exit 3"}, Dir: "/"}, Mark("test", t.Name()), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	answers := func(context.Context) error { return nil }
	if err := Await(t.Context(), started, time.Minute, answers); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want that the server ended although somebody answered", err)
	}
}

func TestStartAppendsToTheLogAndPutsALargeOneAside(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	run := func() {
		started, err := Start(Command{Path: "/bin/sh", Args: []string{"-c", "echo hello"}, Dir: "/"}, Mark("test", t.Name()), log)
		if err != nil {
			t.Fatal(err)
		}
		<-started.Ended()
	}
	run()
	run()
	text, err := os.ReadFile(log)
	if err != nil || strings.Count(string(text), "hello") != 2 {
		t.Errorf("log %q, %v; want both runs in it", text, err)
	}
	if err := os.Truncate(log, keepLog+1); err != nil {
		t.Fatal(err)
	}
	run()
	if info, err := os.Stat(log); err != nil || info.Size() > 1000 {
		t.Errorf("the log has %d bytes, %v; want a fresh one", info.Size(), err)
	}
	if _, err := os.Stat(log + ".1"); err != nil {
		t.Errorf("the large log is not put aside: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	write := func(text string) {
		if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	of := func(c Command, configuration string) string {
		c.Path = program
		print, err := c.Fingerprint(configuration)
		if err != nil {
			t.Fatal(err)
		}
		return print
	}
	base := Command{Args: []string{"a", "b"}, Env: []string{"X=1"}}
	first := of(base, "conf")
	if again := of(base, "conf"); again != first {
		t.Errorf("the same command has the fingerprints %s and %s", first, again)
	}
	for what, other := range map[string]string{
		"arguments":     of(Command{Args: []string{"a b"}, Env: []string{"X=1"}}, "conf"),
		"environment":   of(Command{Args: []string{"a", "b"}, Env: []string{"X=2"}}, "conf"),
		"a moved word":  of(Command{Args: []string{"a"}, Env: []string{"b", "X=1"}}, "conf"),
		"configuration": of(base, "other"),
	} {
		if other == first {
			t.Errorf("other %s, same fingerprint", what)
		}
	}
	write("two")
	if of(base, "conf") == first {
		t.Error("a rebuilt program, same fingerprint")
	}
}

func TestRunQuotesTheComplaint(t *testing.T) {
	run := func(script string) (string, error) {
		return Command{Path: "/bin/sh", Args: []string{"-c", script}, Dir: "/", Stdin: "in\n"}.Run(t.Context())
	}
	out, err := run("cat; echo said; echo bad >&2; exit 2")
	if err == nil || !strings.Contains(err.Error(), "bad") || strings.Contains(err.Error(), "said") {
		t.Errorf("error %v, want standard error alone in it", err)
	}
	if out != "in\nsaid\n" {
		t.Errorf("output %q", out)
	}
	if _, err := run("echo said; exit 2"); err == nil || !strings.Contains(err.Error(), "said") {
		t.Errorf("error %v, want the output, the only complaint", err)
	}
}
