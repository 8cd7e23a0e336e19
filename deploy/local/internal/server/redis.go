package server

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// Redis is a private Redis server that keeps what it is told: append-only file, nothing evicted.
type Redis struct {
	Data     string
	Port     int
	Password string // without blanks or quotes
}

// Server describes the process.
func (r Redis) Server() Server {
	return Server{
		Name:         "redis",
		Port:         r.Port,
		Prepare:      r.prepare,
		Ready:        r.ready,
		StartTimeout: 30 * time.Second,
		Stop:         syscall.SIGTERM,
		Grace:        15 * time.Second,
	}
}

func (r Redis) prepare(context.Context) (Launch, error) {
	account, err := process.System("redis")
	if err != nil {
		return Launch{}, err
	}
	if err := account.MkdirAll(r.Data); err != nil {
		return Launch{}, err
	}
	configuration := fmt.Sprintf(`bind %s
port %d
dir %s
requirepass %s
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
`, Host, r.Port, r.Data, r.Password)
	// A file, so that the password shows in no process list.
	file := filepath.Join(r.Data, "redis.conf")
	if err := account.WriteFile(file, configuration, 0o600); err != nil {
		return Launch{}, err
	}
	server, err := program("/usr/bin/redis-server")
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Command:       process.Command{Path: server, Args: []string{file}, Env: baseEnv(r.Data), Dir: r.Data, Account: account},
		Configuration: configuration,
	}, nil
}

// ready logs in and pings; a server that still loads its data answers with an error.
func (r Redis) ready(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(Host, strconv.Itoa(r.Port)))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("limiting the time of PING: %w", err)
		}
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nPING\r\n", r.Password); err != nil {
		return fmt.Errorf("sending PING: %w", err)
	}
	answers := bufio.NewReader(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		answer, err := answers.ReadString('\n')
		if err != nil {
			return fmt.Errorf("reading the answer to PING: %w", err)
		}
		if strings.TrimSpace(answer) != want {
			return fmt.Errorf("answered %q, not %s", strings.TrimSpace(answer), want)
		}
	}
	return nil
}
