package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const mib = 1 << 20

func TestLimitMemory(t *testing.T) {
	if set, ok := os.LookupEnv("GOMEMLIMIT"); ok {
		t.Skipf("GOMEMLIMIT is %s, and wins", set)
	}
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	unknown := errors.New("unknown")
	for _, test := range []struct {
		name     string
		total    memlimit.Provider
		reserve  int64
		want     int64
		squeezed bool
		err      error
	}{
		{"nothing reserved", memlimit.Limit(1000 * mib), 0, 900 * mib, false, nil},
		{"some reserved", memlimit.Limit(1000 * mib), 100 * mib, 800 * mib, false, nil},
		{"too much reserved", memlimit.Limit(1000 * mib), 800 * mib, 250 * mib, true, nil},
		{"more reserved than there is", memlimit.Limit(1000 * mib), 5000 * mib, 250 * mib, true, nil},
		{"not limited", func() (uint64, error) { return 0, memlimit.ErrNoLimit }, 100 * mib, math.MaxInt64, false, nil},
		{"unknown", func() (uint64, error) { return 0, unknown }, 0, before, false, unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			debug.SetMemoryLimit(before)
			limit, squeezed, err := limitMemory(test.reserve, test.total)
			if limit != test.want || squeezed != test.squeezed || !errors.Is(err, test.err) {
				t.Errorf("got %d, squeezed %v, %v; want %d, %v, %v", limit, squeezed, err, test.want, test.squeezed, test.err)
			}
			if now := debug.SetMemoryLimit(-1); now != test.want {
				t.Errorf("the runtime's limit is %d, want %d", now, test.want)
			}
		})
	}
}

// child is set for the process that TestMemoryOfACgroup starts: it waits until it has been moved,
// and runs as a program then.
const child = "PROGRAM_TEST_CHILD"

func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv(stuck); ok {
		os.Exit(Main(beStuck))
	}
	reserve, ok := os.LookupEnv(child)
	if !ok {
		os.Exit(m.Run())
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		panic(err)
	}
	os.Exit(Main(func(ctx context.Context, process Process) int {
		fmt.Println("before:", debug.SetMemoryLimit(-1))
		p := Program[sample]{
			Name: "sample", About: "A sample.",
			Check: func(sample) error { return nil },
			Run: func(context.Context, sample, *slog.Logger) error {
				fmt.Println("running:", debug.SetMemoryLimit(-1))
				return nil
			},
		}
		if reserve != "" {
			p.Reserve = func(sample) int64 { return 32 * mib }
		}
		process.Args = nil
		return p.Execute(ctx, process)
	}))
}

// A program in a real cgroup: its limit is what the cgroup leaves, or what the operator says.
func TestMemoryOfACgroup(t *testing.T) {
	for _, test := range []struct {
		name, reserve, environ string
		before, running        int64
		said                   string
	}{
		{"with a reserve", "yes", "", 180 * mib, 148 * mib, `"reserved_bytes":33554432,"limit_bytes":155189248`},
		{"without", "", "", 180 * mib, 180 * mib, `"reserved_bytes":0,"limit_bytes":188743680`},
		{"as the operator says", "yes", "GOMEMLIMIT=77MiB", 77 * mib, 77 * mib, `"limit_bytes":80740352`},
	} {
		t.Run(test.name, func(t *testing.T) {
			procs := cgroup(t, 200*mib)
			executable, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), executable)
			cmd.Env = []string{child + "=" + test.reserve}
			if test.environ != "" {
				cmd.Env = append(cmd.Env, test.environ)
			}
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			moved := os.WriteFile(procs, fmt.Append(nil, cmd.Process.Pid), 0)
			_, goErr := stdin.Write([]byte("\n"))
			if err := errors.Join(goErr, cmd.Wait()); err != nil {
				t.Fatalf("running the program: %v; it said %s", err, &stderr)
			}
			if moved != nil {
				t.Skipf("no process can be moved into a cgroup here: %v", moved)
			}
			if want := fmt.Sprintf("before: %d\nrunning: %d\n", test.before, test.running); stdout.String() != want {
				t.Errorf("the limits are\n%swant\n%s", &stdout, want)
			}
			if strings.Count(stderr.String(), "memory is limited") != 1 || !strings.Contains(stderr.String(), test.said) {
				t.Errorf("it said %s, want %s, once", &stderr, test.said)
			}
		})
	}
}

// cgroup makes a cgroup below that of this process, with this much memory, and returns the file
// that takes the processes to move there. It skips the test where that is not allowed.
func cgroup(t *testing.T, limit int64) (procs string) {
	t.Helper()
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skipf("there are no cgroups here: %v", err)
	}
	dir, file := "", ""
	for line := range strings.Lines(string(membership)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "memory":
			dir, file = filepath.Join("/sys/fs/cgroup/memory", path), "memory.limit_in_bytes"
		case controllers == "" && dir == "":
			dir, file = filepath.Join("/sys/fs/cgroup", path), "memory.max"
		}
	}
	dir, err = os.MkdirTemp(dir, "ingesta-test-")
	if err != nil {
		t.Skipf("no cgroup can be made here: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("removing the cgroup: %v", err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, limit), 0); err != nil {
		t.Skipf("the memory of a cgroup cannot be limited here: %v", err)
	}
	return filepath.Join(dir, "cgroup.procs")
}
