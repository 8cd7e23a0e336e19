package packages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// lockWait is how long another apt-get or dpkg may hold its locks.
	lockWait = 5 * time.Minute
	// settle is how long an interrupted apt-get may take to leave dpkg in order.
	settle = time.Minute
)

// Install installs the packages as root. apt-get's output goes to the log, which the error quotes. It
// can be interrupted while it downloads; once dpkg is at work it goes on to the end.
// Without names it only restores what an interrupted run has left.
func Install(ctx context.Context, names []string, log io.Writer) (err error) {
	if len(names) == 0 {
		return Restore()
	}
	for _, hold := range holds("/") {
		if err := hold.Take(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, hold.Restore()) }()
	}
	// Stale lists are the usual reason for a package that cannot be fetched; an update that fails is
	// not final: the packages may be at hand.
	updateErr := apt(ctx, log, "update")
	if ctx.Err() != nil {
		return updateErr
	}
	install := append([]string{"install", "--no-install-recommends"}, names...)
	if err := apt(ctx, log, append(install, "--download-only")...); err != nil {
		return errors.Join(updateErr, err)
	}
	// dpkg interrupted in mid-work must be mended by hand: an interrupt waits for it instead.
	return apt(context.WithoutCancel(ctx), log, install...)
}

// Restore undoes what an interrupted Install left behind; without one it does nothing.
func Restore() error {
	var problems []error
	for _, hold := range holds("/") {
		problems = append(problems, hold.Restore())
	}
	return errors.Join(problems...)
}

// Held reports whether an interrupted Install has left something to restore.
func Held() bool {
	for _, hold := range holds("/") {
		text, err := os.ReadFile(hold.path)
		if err == nil && bytes.Contains(text, []byte(marker)) {
			return true
		}
		if _, err := os.Lstat(hold.aside()); err == nil {
			return true
		}
	}
	return false
}

// apt runs apt-get without questions. It waits for dpkg's lock itself; for the lists' lock it cannot
// wait, so a refusal is repeated here.
func apt(ctx context.Context, log io.Writer, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*lockWait, fmt.Errorf("apt-get %s took longer than %s", args[0], 2*lockWait))
	defer cancel()
	deadline := time.Now().Add(lockWait)
	for {
		var said bytes.Buffer
		both := io.MultiWriter(log, &said)
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{
			"-q", "-y",
			"-o", fmt.Sprintf("DPkg::Lock::Timeout=%d", int(lockWait.Seconds())),
			"-o", "Dpkg::Use-Pty=0",
			"-o", "Dpkg::Options::=--force-confold",
			"-o", "Acquire::Retries=3",
		}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
		cmd.Stdout, cmd.Stderr = both, both // the same writer: exec copies both through one pipe
		// In a group of its own an interrupt at the terminal does not strike dpkg in mid-work.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = settle
		err := cmd.Run()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("running apt-get %s: %w", args[0], context.Cause(ctx))
		}
		locked := strings.Contains(said.String(), "Could not get lock") || strings.Contains(said.String(), "Unable to lock")
		if !locked || time.Now().After(deadline) {
			return fmt.Errorf("running apt-get %s: %w\n%s", args[0], err, complaints(said.String()))
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

// complaints picks apt-get's errors and warnings, or else the end of what it said.
func complaints(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	var picked []string
	for _, line := range lines {
		if strings.HasPrefix(line, "E:") || strings.HasPrefix(line, "W:") || strings.HasPrefix(line, "Err:") {
			picked = append(picked, line)
		}
	}
	if len(picked) == 0 {
		picked = lines[max(0, len(lines)-10):]
	}
	return "    " + strings.Join(picked, "\n    ")
}
