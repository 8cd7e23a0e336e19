package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// A Redis that forgets is warned of, and refused in production. It is a server of the test's own:
// the settings of the shared one are nobody's to change.
func TestForgetfulRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Redis server")
	}
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this test starts a Redis of its own (make up installs it): %v", err)
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close() // only its port was wanted

	var cfg jobstore.Config
	if _, err := config.Load(&cfg, []string{"REDIS_HOST=127.0.0.1", "REDIS_PORT=" + strconv.Itoa(port)}); err != nil {
		t.Fatal(err)
	}
	store, err := jobstore.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()

	// Begun before the server: it must ask until it gets an answer.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var logs bytes.Buffer
	verdict := make(chan error, 1)
	go func() {
		verdict <- checkDurability(ctx, store, config.Production, slog.New(slog.DiscardHandler))
	}()
	server := exec.CommandContext(t.Context(), binary, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", t.TempDir(),
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Wait() }() // it was killed
	defer func() { _ = server.Process.Kill() }()
	if err := <-verdict; err == nil || !strings.Contains(err.Error(), "append-only") || !strings.Contains(err.Error(), "allkeys-lru") {
		t.Errorf("production got %v: want both complaints", err)
	}
	log := slog.New(slog.NewTextHandler(&logs, nil))
	if err := checkDurability(ctx, store, config.Development, log); err != nil || strings.Count(logs.String(), "level=WARN") != 2 {
		t.Errorf("development got %v and the log %s: want two warnings", err, &logs)
	}
}
