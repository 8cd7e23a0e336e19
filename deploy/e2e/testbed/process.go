package testbed

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a program of the product that runs for a test.
type Process struct {
	Name string
	URL  string // of its health and metrics

	cmd   *exec.Cmd
	log   string // path
	ended chan struct{}
}

// spawn starts a program and kills it when the test ends.
func spawn(t testing.TB, name, program, log string, env []string) *Process {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := &Process{Name: name, log: log, ended: make(chan struct{}), cmd: exec.Command(program)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, file, file
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended shows in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the log of %s is %s and ends with:\n%s", name, log, p.tail())
		}
	})
	return p
}

// Kill ends the process as a power failure would, and returns when it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// Terminate asks the process to end; Wait tells when it has.
func (p *Process) Terminate() { p.signal(syscall.SIGTERM) }

// Freeze stops the process in its tracks, Thaw lets it go on.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

// Alive reports whether the process runs.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Wait returns the exit code, or an error when the process does not end within the limit. A process
// that was killed has the code -1.
func (p *Process) Wait(limit time.Duration) (code int, err error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s still runs after %v", p.Name, limit)
	}
}

// Get returns what the process answers at a path of its own, or 0 and the reason when it does not.
func (p *Process) Get(path string) (status int, body string) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(p.URL + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// Ready reports whether the process says that it can do its work.
func (p *Process) Ready() bool {
	status, _ := p.Get("/ready")
	return status == http.StatusOK
}

// Log returns what the process has logged so far.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tail returns the last lines of the log, cut to a length that can be read.
func (p *Process) tail() string {
	const most, widest = 15, 400
	lines := strings.Split(p.Log(), "\n")
	lines = lines[max(0, len(lines)-most):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), widest)]
	}
	return strings.Join(lines, "\n")
}

func (p *Process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(fmt.Sprintf("signalling %s: %v", p.Name, err)) // we started it: nothing but its end can be in the way
	}
}
