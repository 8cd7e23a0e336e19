package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// Postgres is a private PostgreSQL server.
type Postgres struct {
	Data          string
	Port          int
	AdminUser     string
	AdminPassword string
}

func (p Postgres) cluster() string { return filepath.Join(p.Data, "cluster") }

// programs is the folder of the programs for the cluster's version, or of the newest if there is no cluster yet.
func (p Postgres) programs() (string, error) {
	version, err := os.ReadFile(filepath.Join(p.cluster(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		found, err := newest("/usr/lib/postgresql/*/bin/postgres")
		return filepath.Dir(found), err
	}
	if err != nil {
		return "", fmt.Errorf("reading the version of the PostgreSQL data: %w", err)
	}
	folder := filepath.Join("/usr/lib/postgresql", strings.TrimSpace(string(version)), "bin")
	if _, err := os.Stat(filepath.Join(folder, "postgres")); err != nil {
		return "", fmt.Errorf("the data was made by PostgreSQL %s, which is not installed: run make clean", strings.TrimSpace(string(version)))
	}
	return folder, nil
}

// Server describes the process.
func (p Postgres) Server() Server {
	return Server{
		Name:         "postgresql",
		Port:         p.Port,
		Prepare:      p.prepare,
		Ready:        func(ctx context.Context) error { _, err := p.Run(ctx, "postgres", "SELECT 1"); return err },
		StartTimeout: time.Minute,
		Stop:         syscall.SIGINT, // "fast": ends the sessions; SIGTERM would wait for them
		Grace:        30 * time.Second,
	}
}

func (p Postgres) prepare(ctx context.Context) (Launch, error) {
	account, err := process.System("postgres")
	if err != nil {
		return Launch{}, err
	}
	programs, err := p.programs()
	if err != nil {
		return Launch{}, err
	}
	if err := account.MkdirAll(p.Data); err != nil {
		return Launch{}, err
	}
	err = initialise(p.cluster(), account, func(unfinished string) error {
		password := filepath.Join(p.Data, "password")
		if err := account.WriteFile(password, p.AdminPassword+"\n", 0o600); err != nil {
			return err
		}
		defer os.Remove(password)
		_, err := process.Command{
			Path: filepath.Join(programs, "initdb"),
			Args: []string{"--pgdata=" + unfinished, "--username=" + p.AdminUser, "--pwfile=" + password,
				"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"},
			Env: baseEnv(p.Data), Dir: p.Data, Account: account,
		}.Run(ctx)
		return err
	})
	if err != nil {
		return Launch{}, err
	}
	if err := p.removeStaleLock(); err != nil {
		return Launch{}, err
	}
	return Launch{Command: process.Command{
		Path: filepath.Join(programs, "postgres"),
		Args: []string{"-D", p.cluster(), "-p", strconv.Itoa(p.Port),
			"-c", "listen_addresses=" + Host, "-c", "unix_socket_directories=",
			"-c", "timezone=UTC", "-c", "log_timezone=UTC",
			"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
			"-c", "max_wal_size=4GB", "-c", "shared_buffers=64MB"},
		Env: baseEnv(p.Data), Dir: p.Data, Account: account,
	}}, nil
}

// removeStaleLock removes the lock file of a postmaster that was killed. PostgreSQL does so itself, but
// takes a dead process for a living one as long as nobody has reaped it: for ever, in a container
// whose first process reaps nothing.
func (p Postgres) removeStaleLock() error {
	lock := filepath.Join(p.cluster(), "postmaster.pid")
	text, err := os.ReadFile(lock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading PostgreSQL's lock file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || process.Running(pid) {
		return nil //nolint:nilerr // a lock that cannot be read is PostgreSQL's to judge
	}
	if err := os.Remove(lock); err != nil {
		return fmt.Errorf("removing PostgreSQL's stale lock file: %w", err)
	}
	return nil
}

// Run runs SQL as the administrator and returns what it selects: fields split by |, one line a row.
func (p Postgres) Run(ctx context.Context, database, sql string) (string, error) {
	programs, err := p.programs()
	if err != nil {
		return "", err
	}
	return process.Command{
		Path: filepath.Join(programs, "psql"),
		Args: []string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
			"-h", Host, "-p", strconv.Itoa(p.Port), "-U", p.AdminUser, "-d", database},
		Env:   append(baseEnv("/nonexistent"), "PGPASSWORD="+p.AdminPassword, "PGCONNECT_TIMEOUT=5"),
		Dir:   "/",
		Stdin: sql,
	}.Run(ctx)
}
