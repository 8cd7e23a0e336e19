package migrations

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says how to reach Flowlite's database: by DATABASE_URL, as SQLAlchemy reads it, or by
// MYSQL_* where that is not set. A URL counts alone: it takes nothing from MYSQL_* but MYSQL_TLS.
type Config struct {
	URL      config.Secret `env:"DATABASE_URL"`
	Host     string        `env:"MYSQL_HOST" envDefault:"localhost"`
	Port     int           `env:"MYSQL_PORT" envDefault:"3306"`
	User     string        `env:"MYSQL_USER" envDefault:"flowlite_user"`
	Password config.Secret `env:"MYSQL_PASSWORD"`
	Database string        `env:"MYSQL_DATABASE" envDefault:"flowlite_db"`
	TLS      string        `env:"MYSQL_TLS" envDefault:"preferred"` // false, preferred, true, skip-verify
}

// tlsModes are the values of MYSQL_TLS, which are the driver's.
var tlsModes = []string{"false", "preferred", "true", "skip-verify"}

// String shows where the configuration leads, as user@host:port/database. It is safe to log: the
// password is not in it, nor is anything of a DATABASE_URL that cannot be read.
func (c Config) String() string {
	a, err := c.address()
	if err != nil {
		return "a database whose settings cannot be read"
	}
	return a.String()
}

// Validate reports every setting that cannot be worked with, joined. No password is in the error.
func (c Config) Validate() error {
	_, err := c.address()
	return err
}

// Open returns a pool of connections to the database. It uses no network yet. Sessions speak
// UTC, and DATETIME columns are scanned into time.Time. The caller closes the pool.
func (c Config) Open() (*sql.DB, error) {
	a, err := c.address()
	if err != nil {
		return nil, err
	}
	return a.open(false)
}

// address reads the settings, and reports every one that is wrong.
func (c Config) address() (address, error) {
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !slices.Contains(tlsModes, c.TLS) {
		complain("MYSQL_TLS is none of %s", strings.Join(tlsModes, ", "))
	}
	if c.URL != "" {
		a, err := parseURL(c.URL.Reveal(), c.TLS)
		return a, errors.Join(append(problems, err)...)
	}
	if c.Host == "" {
		complain("MYSQL_HOST is empty")
	}
	if c.Port < 1 || c.Port > 65535 {
		complain("MYSQL_PORT is no port: %d", c.Port)
	}
	if c.User == "" {
		complain("MYSQL_USER is empty")
	}
	if c.Password == "" {
		complain("MYSQL_PASSWORD is required and not set (nor is DATABASE_URL)")
	}
	if c.Database == "" {
		complain("MYSQL_DATABASE is empty")
	}
	return address{
		host: c.Host, port: c.Port, user: c.User, password: c.Password.Reveal(), database: c.Database, tls: c.TLS,
	}, errors.Join(problems...)
}
