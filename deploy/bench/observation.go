package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// observation is what a process of the product takes during a run.
type observation struct {
	pid     int
	before  float64 // of its processor time
	unwatch func()
}

// observe begins to look at a process, and has the command of WATCH look too.
func (b *bench) observe(ctx context.Context, subject string, pid int) (observation, error) {
	if err := resetPeak(pid); err != nil {
		return observation{}, err
	}
	before, err := cpu(pid)
	if err != nil {
		return observation{}, err
	}
	unwatch, err := b.watch(ctx, subject, pid)
	return observation{pid, before, unwatch}, err
}

// end sets the measurement's processor time and peak.
func (o observation) end(m *measurement) error {
	o.unwatch()
	after, err := cpu(o.pid)
	m.CPU = after - o.before
	highest, peakErr := peak(o.pid)
	m.Peak = highest
	return errors.Join(err, peakErr)
}

// watch runs the command of WATCH, such as a profiler. The shell knows the process as $PID and the
// subject as $SUBJECT. The returned function interrupts it and waits for its end.
func (b *bench) watch(ctx context.Context, subject string, pid int) (end func(), err error) {
	if b.settings.Watch == "" {
		return func() {}, nil
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", b.settings.Watch)
	cmd.Env = append(os.Environ(), "PID="+strconv.Itoa(pid), "SUBJECT="+strings.ReplaceAll(subject, " ", "-"))
	cmd.Stdout, cmd.Stderr = b.out, b.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the shell may have made children
	interrupt := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.Cancel, cmd.WaitDelay = interrupt, 10*time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting WATCH: %w", err)
	}
	return func() {
		_ = interrupt() // it may have ended by itself
		_ = cmd.Wait()  // interrupted, it may well end with an error
	}, nil
}
