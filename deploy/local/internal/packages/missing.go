// Package packages installs the servers' Debian packages without a trace besides: no service is
// started, no Debian PostgreSQL cluster is made, and the two settings that see to this are put back.
//
// Not a goal: upgrading what is installed, or other distributions' package managers.
package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// need is a Debian package and one of the programs that tell whether it is there.
type need struct {
	name     string
	programs []string // patterns; one match suffices for each
}

// Debian keeps server programs out of an ordinary user's PATH and PostgreSQL's out of everybody's.
var needs = []need{
	{"postgresql", []string{"/usr/lib/postgresql/*/bin/postgres", "/usr/lib/postgresql/*/bin/psql"}},
	{"mariadb-server", []string{"/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db", "/usr/bin/mariadb"}},
	{"redis-server", []string{"/usr/bin/redis-server"}},
	{"rabbitmq-server", []string{"/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/bin/epmd"}},
}

// Missing lists the packages that have to be installed.
func Missing() []string {
	var missing []string
	for _, n := range needs {
		absent := func(pattern string) bool {
			found, err := filepath.Glob(pattern)
			return err != nil || len(found) == 0
		}
		if slices.ContainsFunc(n.programs, absent) {
			missing = append(missing, n.name)
		}
	}
	return missing
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
