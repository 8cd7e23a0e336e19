package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

// servers is a local stack of a test's own, without gateway and workers, whose servers it may stop.
type servers struct {
	name string
	root string // of the repository
}

// newServers brings the stack up, and removes it when the test ends.
func newServers(t *testing.T, name string) servers {
	t.Helper()
	stacktest.Env(t, "INGESTA_URL") // skips under -short, and wants `make up`: it builds what is used here
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := servers{name: name, root: root}
	s.stack(t, "clean") // what a test that was killed has left
	t.Cleanup(func() { s.stack(t, "clean") })
	s.stack(t, "up", "-servers")
	return s
}

// stack runs a command of the stack.
func (s servers) stack(t *testing.T, args ...string) {
	t.Helper()
	out, err := s.run(filepath.Join(s.root, "bin", "local", "stack"), append([]string{"-root", s.root, "-name", s.name}, args...)...)
	if err != nil {
		t.Fatalf("stack -name %s %s: %v\n%s", s.name, strings.Join(args, " "), err, out)
	}
}

// migrate runs bin/migrate with the stack's environment. A MongoDB that is stopped is asked again and
// again until MONGO_CONNECT_TIMEOUT is over, which the default makes long.
func (s servers) migrate(args ...string) (stdout string, err error) {
	env := filepath.Join(s.root, ".local", s.name, "env")
	return s.run("/bin/sh", append([]string{"-c", `set -a; . "$1"; MONGO_CONNECT_TIMEOUT=2s; shift; exec "$@"`, "sh", env,
		filepath.Join(s.root, "bin", "migrate")}, args...)...)
}

func (s servers) run(program string, args ...string) (stdout string, err error) {
	const patience = 3 * time.Minute
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("not done within %v", patience))
	defer cancel()
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w\n%s", err, &problems)
	}
	return out.String(), nil
}

// failed returns what `migrate check` says has failed, as "service title", and whether all is well.
func (s servers) failed(t *testing.T) (failures []string, ok bool) {
	t.Helper()
	out, err := s.migrate("check", "--json")
	var report struct {
		OK     bool
		Checks []struct {
			Service, Title, Status, Cause string
			NextStep                      string `json:"next_step"`
		}
	}
	if problem := json.Unmarshal([]byte(out), &report); problem != nil {
		t.Fatalf("migrate check --json: %v, %v\n%s", err, problem, out)
	}
	if report.OK != (err == nil) {
		t.Errorf("ok is %v, and the command ended with %v", report.OK, err)
	}
	for _, c := range report.Checks {
		if c.Status != "failed" {
			continue
		}
		failures = append(failures, c.Service+" "+c.Title)
		if c.Cause == "" || c.NextStep == "" {
			t.Errorf("%s, %s: cause %q, next step %q; want both", c.Service, c.Title, c.Cause, c.NextStep)
		}
	}
	return failures, report.OK
}

// Each server that is stopped is named, with what was looked at behind it, and nobody else is; when
// it is back, all is well again.
func TestCheckNamesEachStoppedServer(t *testing.T) {
	s := newServers(t, "check")
	if failures, ok := s.failed(t); !ok {
		t.Fatalf("before a server was stopped these failed: %q", failures)
	}
	for _, test := range []struct {
		server string
		want   []string
	}{
		{"mariadb", []string{"mysql Flowlite", "mysql source"}},
		{"rabbitmq", []string{"rabbitmq messages", "rabbitmq management"}},
		{"redis", []string{"redis job store"}},
		{"s3", []string{"s3 bucket"}},
		{"mongodb", []string{"mongodb source"}},
		{"postgresql", []string{"postgresql source"}},
	} {
		s.stack(t, "stop", test.server)
		if failures, _ := s.failed(t); !slices.Equal(failures, test.want) {
			t.Errorf("%s is stopped, and these failed: %q; want %q", test.server, failures, test.want)
		}
		s.stack(t, "start", test.server)
	}
	if failures, ok := s.failed(t); !ok {
		t.Errorf("all servers are back, and these failed: %q", failures)
	}
}
