package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

// SkewedRedis is a Redis of the scenario's own whose clock can be set wrong. Programs in Go cannot be
// told a false time, so it is always the server's clock that is off against theirs.
type SkewedRedis struct {
	port   string
	offset string // the file that says how wrong the clock is
	client *redis.Client
}

// NewSkewedRedis starts a Redis that keeps what it is told as the stack's does, with a clock that is
// right so far. It skips the test where libfaketime is not installed. The server ends with the test.
func (s *Servers) NewSkewedRedis(t testing.TB) *SkewedRedis {
	t.Helper()
	libraries, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if err != nil || len(libraries) == 0 {
		t.Skip("libfaketime, which sets the clock of a single process, is not installed")
	}
	dir := t.TempDir()
	r := &SkewedRedis{port: strconv.Itoa(stacktest.FreePort(t)), offset: filepath.Join(dir, "offset")}
	r.write(t, 0)
	configuration := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nrequirepass %s\nappendonly yes\nsave \"\"\nmaxmemory-policy noeviction\n",
		r.port, dir, s.Env["REDIS_PASSWORD"])
	file := filepath.Join(dir, "redis.conf") // so that the password shows in no process list
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command("/usr/bin/redis-server", file)
	// Redis's own allocator asks for the time before libfaketime can tell it: libc's takes its place.
	server.Env = append(os.Environ(), "LD_PRELOAD="+libraries[0]+" libc.so.6", "FAKETIME_TIMESTAMP_FILE="+r.offset,
		"FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1")
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatalf("starting a Redis: %v", err)
	}
	r.client = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + r.port, Password: s.Env["REDIS_PASSWORD"]})
	t.Cleanup(func() {
		_ = r.client.Close()
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	r.await(t, "it serves", func(time.Time) bool { return true })
	return r
}

// Env returns the variables that lead to this Redis, for Servers.With.
func (r *SkewedRedis) Env() map[string]string {
	return map[string]string{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": r.port}
}

// Skew sets how far the server's clock is ahead of the true time, or behind it when negative, and
// returns once the clock shows it.
func (r *SkewedRedis) Skew(t testing.TB, ahead time.Duration) {
	t.Helper()
	r.write(t, ahead)
	const near = 30 * time.Second
	r.await(t, fmt.Sprintf("its clock is %v ahead", ahead), func(now time.Time) bool {
		return (time.Until(now) - ahead).Abs() < near
	})
}

// Now returns what the server's clock shows.
func (r *SkewedRedis) Now(t testing.TB) (now time.Time) {
	t.Helper()
	r.await(t, "it tells the time", func(told time.Time) bool { now = told; return true })
	return now
}

// write puts the offset where the server reads it, whole or not at all.
func (r *SkewedRedis) write(t testing.TB, ahead time.Duration) {
	t.Helper()
	next := r.offset + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+d", int(ahead.Seconds())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, r.offset); err != nil {
		t.Fatal(err)
	}
}

// await asks for the server's time until it is as wanted.
func (r *SkewedRedis) await(t testing.TB, what string, holds func(now time.Time) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		now, err := r.client.Time(ctx).Result()
		if err == nil && holds(now) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("waited %v in vain until of the Redis with the wrong clock %s; it shows %v (%v)", patience, what, now, err)
		}
	}
}
