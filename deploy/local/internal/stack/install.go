package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/packages"
)

// InstallCommand is the hidden subcommand with which an ordinary user's stack calls itself through sudo.
const InstallCommand = "install-packages"

// installPackages installs the servers' packages that are missing.
func (s *Stack) installPackages(ctx context.Context) error {
	missing := packages.Missing(ctx)
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	if !packages.Installable() {
		return fmt.Errorf("these Debian packages are missing and cannot be installed from here: %s\n"+
			"  install them (as root: apt-get install --no-install-recommends %s), or run the system with docker compose up", names, names)
	}
	task := s.console.Announce("packages", "installing "+names)
	defer task.Drop()
	if err := s.runInstall(ctx, missing); err != nil {
		return err
	}
	if still := packages.Missing(ctx); len(still) > 0 {
		return fmt.Errorf("apt-get installed %s, but the programs of %s are not where Debian 12 puts them", names, strings.Join(still, " "))
	}
	task.Done("installed")
	return nil
}

func (s *Stack) runInstall(ctx context.Context, names []string) error {
	logPath := s.layout.Log("packages")
	if err := os.MkdirAll(filepath.Dir(logPath), 0o755); err != nil {
		return fmt.Errorf("making the log folder: %w", err)
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	if os.Geteuid() == 0 {
		return packages.Install(ctx, names, log)
	}

	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, "sudo", append([]string{self, InstallCommand}, names...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, log, os.Stderr // sudo asks at the terminal
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Minute // it ends by itself, after dpkg
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("installing packages: %w", context.Cause(ctx))
		}
		return errors.Join(fmt.Errorf("installing packages with sudo: %w", err),
			fmt.Errorf("as root, this does it: apt-get install --no-install-recommends %s", strings.Join(names, " ")))
	}
	return nil
}

// restorePackages undoes what an interrupted installation left behind.
func (s *Stack) restorePackages(ctx context.Context) error {
	if !packages.Held() {
		return nil
	}
	s.console.Say("packages", "restoring what an interrupted installation has left")
	return s.runInstall(ctx, nil)
}
