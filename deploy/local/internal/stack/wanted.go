package stack

import (
	"fmt"
	"slices"
	"strings"
)

// Wanted is what up brings up.
type Wanted struct {
	Servers []string // some of Servers()
	Product bool     // the gateway and the workers too
}

// Servers names the servers under the product, each with its demo data.
func Servers() []string {
	return []string{"redis", "rabbitmq", "mariadb", "postgresql", "mongodb", "s3"}
}

// Everything is all servers and the product.
func Everything() Wanted { return Wanted{Servers: Servers(), Product: true} }

// Only reads a list of servers, separated by commas.
func Only(list string) (Wanted, error) {
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(Servers(), name) {
			return Wanted{}, fmt.Errorf("there is no server %q: use %s", name, strings.Join(Servers(), ", "))
		}
	}
	return Wanted{Servers: names}, nil
}

// any reports whether one of the servers is wanted.
func (w Wanted) any(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(w.Servers, name) })
}

// prepared reports whether the servers that migrate prepares are wanted, all of which it needs.
func (w Wanted) prepared() bool {
	return w.any("mariadb") && w.any("rabbitmq") && w.any("redis")
}

// when returns the tasks as one, each after the other, if the server is wanted; else a task that is nothing.
func (w Wanted) when(name string, tasks ...func() error) func() error {
	if !w.any(name) {
		return func() error { return nil }
	}
	return sequence(tasks...)
}
