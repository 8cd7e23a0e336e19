package jobstore

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestProbe(t *testing.T) {
	s := open(t)
	version, err := s.Probe(t.Context())
	if err != nil || version == "" {
		t.Errorf("probing a server that works: version %q, %v", version, err)
	}
	if keys, err := s.client.Keys(t.Context(), s.prefix+"*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("the probe left %q, %v; want no key", keys, err)
	}
}

// ownServer starts a Redis of the test's own, whose settings the test may spoil, and returns the
// configuration of a store there. arguments are those of redis-server.
func ownServer(t *testing.T, dir string, arguments ...string) Config {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a Redis server")
	}
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this test starts a Redis of its own (make up installs it): %v", err)
	}
	port := stacktest.FreePort(t)
	server := exec.CommandContext(t.Context(), binary, append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "",
	}, arguments...)...)
	if err := server.Start(); err != nil {
		t.Fatalf("starting redis-server: %v", err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	stacktest.Eventually(t, "redis-server listens", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return defaults(t, port)
}

// defaults returns the defaults with another port.
func defaults(t *testing.T, port int) Config {
	t.Helper()
	var cfg Config
	if _, err := config.Load(&cfg, []string{"REDIS_HOST=127.0.0.1", "REDIS_PORT=" + strconv.Itoa(port)}); err != nil {
		t.Fatalf("making a configuration: %v", err)
	}
	return cfg
}

// openWith returns a store that is closed when the test ends.
func openWith(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wantReason fails the test unless err has this reason and no other, and is one of ErrUnavailable.
func wantReason(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("probing says %v, want %v and that the store cannot be used", err, want)
	}
	for _, other := range []error{ErrUnreachable, ErrNoPassword, ErrWrongPassword, ErrForbidden, ErrReadOnly, ErrFull, ErrNotSaving} {
		if other != want && errors.Is(err, other) { //nolint:errorlint // compares sentinels
			t.Errorf("probing says %v as well as %v, want one reason", other, want)
		}
	}
}

func TestProbeSaysWhatIsWrong(t *testing.T) {
	t.Run("password", func(t *testing.T) {
		cfg := ownServer(t, t.TempDir(), "--requirepass", "the-right-one")
		_, err := openWith(t, cfg).Probe(t.Context())
		wantReason(t, err, ErrNoPassword)
		cfg.Password = "not-the-right-one"
		_, err = openWith(t, cfg).Probe(t.Context())
		wantReason(t, err, ErrWrongPassword)
		if err != nil && strings.Contains(err.Error(), "right-one") {
			t.Errorf("the error shows a password: %v", err)
		}
		cfg.Password = "the-right-one"
		if _, err = openWith(t, cfg).Probe(t.Context()); err != nil {
			t.Errorf("probing with the right password: %v", err)
		}
	})
	t.Run("replica", func(t *testing.T) {
		cfg := ownServer(t, t.TempDir(), "--replicaof", "127.0.0.1 "+strconv.Itoa(stacktest.FreePort(t)))
		version, err := openWith(t, cfg).Probe(t.Context())
		wantReason(t, err, ErrReadOnly)
		if version == "" {
			t.Error("the version that the server told before is not returned")
		}
	})
	t.Run("no replicas", func(t *testing.T) {
		cfg := ownServer(t, t.TempDir(), "--min-replicas-to-write", "1")
		_, err := openWith(t, cfg).Probe(t.Context())
		wantReason(t, err, ErrReadOnly)
	})
	t.Run("memory", func(t *testing.T) {
		cfg := ownServer(t, t.TempDir(), "--maxmemory", "100kb", "--maxmemory-policy", "noeviction")
		_, err := openWith(t, cfg).Probe(t.Context())
		wantReason(t, err, ErrFull)
	})
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		cfg := ownServer(t, dir, "--save", "3600 1")
		s := openWith(t, cfg)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatalf("taking the server's disk away: %v", err)
		}
		if err := s.client.BgSave(t.Context()).Err(); err != nil {
			t.Fatalf("having the server save: %v", err)
		}
		var err error
		stacktest.Eventually(t, "the server notices that it could not save", func() bool {
			_, err = s.Probe(t.Context())
			return err != nil
		})
		wantReason(t, err, ErrNotSaving)
	})
	t.Run("access rules", func(t *testing.T) {
		cfg := ownServer(t, t.TempDir())
		s := openWith(t, cfg)
		for _, rule := range []string{"-evalsha", "resetkeys"} {
			if err := s.client.Do(t.Context(), "ACL", "SETUSER", "default", rule).Err(); err != nil {
				t.Fatalf("setting the rule %s: %v", rule, err)
			}
			_, err := s.Probe(t.Context())
			wantReason(t, err, ErrForbidden)
			if err := s.client.Do(t.Context(), "ACL", "SETUSER", "default", "+@all", "~*", "-info").Err(); err != nil {
				t.Fatalf("taking the rule back: %v", err)
			}
			if keys, err := s.client.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 0 {
				t.Errorf("the probe that failed left %q, %v; want no key", keys, err)
			}
		}
		if version, err := s.Probe(t.Context()); err != nil || version != "" {
			t.Errorf("probing a server that does not tell its version: %q, %v; want neither", version, err)
		}
	})
	t.Run("closed port", func(t *testing.T) {
		_, err := openWith(t, defaults(t, stacktest.FreePort(t))).Probe(t.Context())
		wantReason(t, err, ErrUnreachable)
	})
	t.Run("silence", func(t *testing.T) {
		s, p := through(t, open(t), func(c *Config) { c.IOTimeout, c.Timeout = 100*time.Millisecond, 300*time.Millisecond })
		p.frozen.Store(true)
		_, err := s.Probe(t.Context())
		wantReason(t, err, ErrUnreachable)
	})
}

// That the caller gave up is not the server's fault.
func TestProbeOfACallerWhoGaveUp(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Probe(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("probing says %v, want that it was cancelled and nothing of the server", err)
	}
}
