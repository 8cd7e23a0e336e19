package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start runs a shell script as a server and waits until it has printed "up".
func start(t *testing.T, mark, script string) (*Started, string) {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "logs", "server.log")
	started, err := Start(Command{Path: shell, Args: []string{"-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Dir: "/"}, mark, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := Stop(context.Background(), started.ID, mark, syscall.SIGKILL, time.Second); err != nil {
			t.Error(err)
		}
	})
	err = Await(t.Context(), started, 10*time.Second, func(context.Context) error {
		text, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(text), "up") {
			return errors.New("not up yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return started, log
}

// numbers returns the process numbers in lines "child N" of the log.
func numbers(t *testing.T, log string) []int {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "child "); ok {
			pid, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestStop(t *testing.T) {
	tests := map[string]struct {
		script   string
		children int
		killed   int
	}{
		"a server that ends when told":        {"echo up; sleep 60 & wait", 0, 1}, // the shell ends, its sleep does not
		"a server that waits for its child":   {"trap 'kill $!; wait; exit' TERM; sleep 60 & echo child $!; echo up; wait", 1, 0},
		"a server that will not end":          {"trap '' TERM; echo up; while :; do sleep 0.1; done", 0, -1},
		"a child in a session of its own":     {"setsid sleep 60 & echo child $!; echo up; wait", 1, 1},
		"a grandchild whose parent has ended": {"sh -c 'sleep 60 & echo child $!'; echo up; sleep 60 & echo child $!; wait", 2, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := Mark("test", t.Name())
			started, log := start(t, mark, test.script)
			children := numbers(t, log)
			if len(children) != test.children {
				t.Fatalf("the script told of %d children, want %d", len(children), test.children)
			}
			before, err := Members(started.ID, mark)
			if err != nil {
				t.Fatal(err)
			}
			for _, child := range children {
				if !slices.ContainsFunc(before, func(id ID) bool { return id.PID == child }) {
					t.Errorf("child %d is not among the members %v", child, before)
				}
			}

			killed, err := Stop(t.Context(), started.ID, mark, syscall.SIGTERM, 500*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if test.killed >= 0 && killed != test.killed {
				t.Errorf("%d processes had to be killed, want %d", killed, test.killed)
			}
			for _, id := range before {
				if id.Alive() {
					t.Errorf("process %d has survived", id.PID)
				}
			}
		})
	}
}

func TestStopFindsOrphansByTheirMark(t *testing.T) {
	mark := Mark("test", t.Name())
	started, log := start(t, mark, "sleep 60 & echo child $!; echo up; wait")
	orphan, err := Identify(numbers(t, log)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(started.ID.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-started.Ended()
	if !orphan.Alive() {
		t.Fatal("the child ended with its parent: nothing to test")
	}
	killed, err := Stop(t.Context(), started.ID, mark, syscall.SIGTERM, time.Second)
	if err != nil || killed != 1 || orphan.Alive() {
		t.Errorf("killed %d, %v, orphan alive %v; want the orphan killed", killed, err, orphan.Alive())
	}
}

func TestStopLeavesOthersAlone(t *testing.T) {
	mine, _ := start(t, Mark("test", "mine"), "echo up; sleep 60")
	other, _ := start(t, Mark("test", "mine-too"), "echo up; sleep 60")
	if _, err := Stop(t.Context(), mine.ID, Mark("test", "mine"), syscall.SIGTERM, time.Second); err != nil {
		t.Fatal(err)
	}
	if !other.ID.Alive() {
		t.Error("a server with a mark that merely begins alike was stopped")
	}
	// The kernel has given the number to somebody else.
	stale := other.ID
	stale.Start--
	if killed, err := Stop(t.Context(), stale, Mark("test", "gone"), syscall.SIGTERM, time.Second); err != nil || killed != 0 {
		t.Errorf("stopping a stale record killed %d, %v", killed, err)
	}
	if !other.ID.Alive() {
		t.Error("a stranger with the number of a stale record was stopped")
	}
}
