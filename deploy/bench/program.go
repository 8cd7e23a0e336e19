package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// program is a program of the product that runs for the benchmark.
type program struct {
	name, url string
	log       string // path
	cmd       *exec.Cmd
	ended     chan struct{}
}

const (
	readyTimeout = time.Minute
	stopTimeout  = 40 * time.Second // a worker may hand its jobs back
)

// start starts a program and waits until it is ready. portVariable is the one that says where it
// listens.
func (s *stack) start(ctx context.Context, name, path, portVariable string, environ ...string) (*program, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	p := &program{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port), log: s.local(filepath.Join("logs", name+".log")), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("making the log of %s: %w", name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(path) //nolint:noctx // stop ends it in good order, when everything that it does is over
	p.cmd.Env = s.environ(append(environ, portVariable+"="+strconv.Itoa(port))...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// In a group of its own an interrupt at the terminal leaves it to us.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended shows in ProcessState
		close(p.ended)
	}()
	if err := p.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w; its log is %s", name, err, p.log), p.stop())
	}
	return p, nil
}

// awaitReady waits until the program says that it can do its work.
func (p *program) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("it was not ready within %s", readyTimeout))
	defer cancel()
	const pause = 50 * time.Millisecond
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/ready", nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close() // the status is all
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(pause):
		case <-p.ended:
			return fmt.Errorf("it ended: %s", p.cmd.ProcessState)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stop ends the program in good order.
func (p *program) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill() // or it has ended just now
		<-p.ended
		return fmt.Errorf("stopping %s: it did not end within %s and was killed", p.name, stopTimeout)
	}
}

func (p *program) pid() int { return p.cmd.Process.Pid }

// freePort returns a port of 127.0.0.1 on which nobody listens.
func freePort(ctx context.Context) (int, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
