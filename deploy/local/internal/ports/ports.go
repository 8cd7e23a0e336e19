// Package ports decides which TCP port each part of the stack listens on.
//
// Every part has a default port of its own and an environment variable to set another. A default
// that somebody else uses moves up by hundreds, so that two clones run side by side and a port still
// tells by its last two digits what it is. A port set explicitly is taken as it is or refused.
// A choice once made is kept as long as it is free, so that addresses survive a restart.
//
// Not a goal: reserving. Between the choice and the server's own bind somebody else may take the port.
package ports

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Part is something that listens.
type Part struct {
	Name    string
	Env     string
	Default int
}

const (
	step     = 100    // keeps the last two digits, which differ between the parts
	attempts = 100    // 18xxx to 27xxx: below the ports the kernel hands out to clients
	highest  = 65_535 // of a TCP port
)

// Parts lists everything that listens, in the order of presentation.
func Parts() []Part {
	return []Part{
		{"gateway", "LOCAL_GATEWAY_PORT", 18000},
		{"worker-mongodb", "LOCAL_WORKER_MONGODB_PORT", 18001},
		{"worker-mysql", "LOCAL_WORKER_MYSQL_PORT", 18002},
		{"worker-postgresql", "LOCAL_WORKER_POSTGRESQL_PORT", 18003},
		{"mongodb", "LOCAL_MONGODB_PORT", 18017},
		{"mariadb", "LOCAL_MARIADB_PORT", 18306},
		{"postgresql", "LOCAL_POSTGRESQL_PORT", 18432},
		{"redis", "LOCAL_REDIS_PORT", 18379},
		{"rabbitmq", "LOCAL_RABBITMQ_PORT", 18672},
		{"management", "LOCAL_MANAGEMENT_PORT", 18673},
		{"erlang", "LOCAL_ERLANG_PORT", 18674},
		{"epmd", "LOCAL_EPMD_PORT", 18369},
		{"s3", "LOCAL_S3_PORT", 18090},
	}
}

// Chooser holds what the choice depends on.
type Chooser struct {
	Getenv     func(string) string
	Remembered map[string]int                // the last choice; may be nil
	Ours       func(part string, p int) bool // is the port in use by our own running part?
	Free       func(p int) bool
}

// Choose gives every part its port. Problems with explicit ports are reported all at once.
func (c Chooser) Choose(parts []Part) (map[string]int, error) {
	chosen := make(map[string]int, len(parts))
	taken := make(map[int]string, len(parts))
	var problems []error

	take := func(part Part, port int) {
		chosen[part.Name], taken[port] = port, part.Name
	}
	usable := func(part Part, port int) bool {
		return taken[port] == "" && (c.Ours(part.Name, port) || c.Free(port))
	}

	for _, part := range parts {
		text := c.Getenv(part.Env)
		if text == "" {
			continue
		}
		port, err := strconv.Atoi(text)
		switch {
		case err != nil || port < 1 || port > highest:
			problems = append(problems, fmt.Errorf("%s=%q is not a port", part.Env, text))
		case taken[port] != "":
			problems = append(problems, fmt.Errorf("%s=%d is also the port of %s", part.Env, port, taken[port]))
		case !usable(part, port):
			problems = append(problems, fmt.Errorf("%s=%d is in use by another program", part.Env, port))
		default:
			take(part, port)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}

	for _, part := range parts {
		if port, ok := c.Remembered[part.Name]; ok && chosen[part.Name] == 0 && usable(part, port) {
			take(part, port)
		}
	}
	for _, part := range parts {
		for i := 0; i < attempts && chosen[part.Name] == 0; i++ {
			if port := part.Default + i*step; usable(part, port) {
				take(part, port)
			}
		}
		if chosen[part.Name] == 0 {
			return nil, fmt.Errorf("no free port for %s from %d upwards: set %s", part.Name, part.Default, part.Env)
		}
	}
	return chosen, nil
}

// Free reports whether nobody listens on the port, on the loopback address or on all.
func Free(port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		listener, err := net.Listen("tcp4", net.JoinHostPort(host, strconv.Itoa(port))) //nolint:noctx // answers at once
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}

// Answers reports whether somebody listens on the port of the loopback address. Unlike Free it binds
// nothing: a socket bound here may live on for a moment in a child that is just being started.
func Answers(ctx context.Context, port int) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
