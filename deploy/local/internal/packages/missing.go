// Package packages installs the servers' Debian packages without a trace besides: no service is
// started, no Debian PostgreSQL cluster is made, and the two settings that see to this are put back.
//
// Not a goal: upgrading what is installed, or other distributions' package managers.
package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// need is a Debian package and the programs that tell whether it is there.
type need struct {
	name     string
	programs []string // patterns
}

// Debian keeps server programs out of an ordinary user's PATH and PostgreSQL's out of everybody's.
var needs = []need{
	{"postgresql", []string{"/usr/lib/postgresql/*/bin/postgres", "/usr/lib/postgresql/*/bin/psql"}},
	{"mariadb-server", []string{"/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db", "/usr/bin/mariadb"}},
	{"redis-server", []string{"/usr/bin/redis-server"}},
	{"rabbitmq-server", []string{"/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/bin/epmd"}},
	{"python3", []string{"/usr/bin/python3"}},                         // for tests that read the files as scripts do
	{"libfaketime", []string{"/usr/lib/*/faketime/libfaketime.so.1"}}, // for tests that set a server's clock
}

// Missing lists the packages that have to be installed, or to be finished after an interruption: then
// the programs may be there while the server's user is not.
func Missing(ctx context.Context) []string {
	var missing []string
	for _, n := range needs {
		absent := func(pattern string) bool {
			found, err := filepath.Glob(pattern)
			return err != nil || len(found) == 0
		}
		if slices.ContainsFunc(n.programs, absent) || unfinished(ctx, n.name) {
			missing = append(missing, n.name)
		}
	}
	return missing
}

// unfinished reports whether dpkg has begun with the package and not come to the end. A package that
// dpkg does not know, or a machine without dpkg, is none of its business.
func unfinished(ctx context.Context, name string) bool {
	status, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status}", name).Output()
	if err != nil {
		return false
	}
	switch strings.TrimSpace(string(status)) {
	case "half-installed", "unpacked", "half-configured":
		return true
	default:
		return false
	}
}

// Installable reports whether this machine has apt-get and the present user may use it, by being root or through sudo.
func Installable() bool {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return false
	}
	if os.Geteuid() == 0 {
		return true
	}
	_, err := exec.LookPath("sudo")
	return err == nil
}
