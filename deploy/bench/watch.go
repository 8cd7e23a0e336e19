package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// watch runs the command of WATCH, such as a profiler, beside an export; the shell knows the worker as
// $PID and the subject as $SUBJECT. The returned function interrupts it and waits for its end.
func (b *bench) watch(ctx context.Context, subject string, pid int) (end func() error, err error) {
	if b.settings.Watch == "" {
		return func() error { return nil }, nil
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
	return func() error {
		_ = interrupt() // it may have ended by itself
		_ = cmd.Wait()  // interrupted, it may well end with an error
		return nil
	}, nil
}
