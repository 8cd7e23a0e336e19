// Package check is the frame of an examination of the infrastructure: it runs checks side by side,
// each within its own time, and writes what they found for people and for machines. It knows no
// server but the Docker engine (see Containers): what to look at is the caller's, as a Check.
//
// Guarantees
//   - Every check is reported: one that panics, that says nothing, or that does not return in time
//     is a failure like any other.
//   - The report has the order of the checks, whatever the order in which they end.
//   - Run returns within the time of one check and a short grace, even when a check ignores its
//     context. Such a check goes on in the background until it returns by itself, which Go cannot
//     prevent; the report says so.
//   - Text of servers is written without control characters, so that none can forge a line.
//
// Not guaranteed: nothing is kept out of causes and details. Whoever fills them keeps passwords out.
package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Service is a kind of server, as `--service` names it.
type Service string

// The services that are known.
const (
	Docker     Service = "docker"
	MySQL      Service = "mysql"
	RabbitMQ   Service = "rabbitmq"
	Redis      Service = "redis"
	S3         Service = "s3"
	MongoDB    Service = "mongodb"
	PostgreSQL Service = "postgresql"
)

// Services returns all that are known, in the order for listing them.
func Services() []Service {
	return []Service{Docker, MySQL, RabbitMQ, Redis, S3, MongoDB, PostgreSQL}
}

// Check is one look at one server, which may find several things.
type Check struct {
	Service Service
	Title   string // a few words: "connection", "bucket"

	// Run looks, and returns what it found, in the order for reading. A Finding without a title
	// gets the check's. It should return when its context ends; see Walk for a server that must be
	// reached before anything else can be known about it.
	Run func(ctx context.Context) []Finding
}

// Select returns the checks of the named services, in their order; no name means all. The error
// of an unknown name lists the known ones.
func Select(checks []Check, names ...string) ([]Check, error) {
	if len(names) == 0 {
		return checks, nil
	}
	for _, name := range names {
		if !slices.Contains(Services(), Service(name)) {
			return nil, fmt.Errorf("unknown service %q: use %s", name, list(Services()))
		}
	}
	var chosen []Check
	for _, c := range checks {
		if slices.Contains(names, string(c.Service)) {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

// list writes services as "a, b or c".
func list(services []Service) string {
	var names []string
	for _, s := range services {
		names = append(names, string(s))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
