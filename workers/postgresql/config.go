package postgresql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says how to reach the server.
type Config struct {
	Host     string        `env:"POSTGRES_HOST" envDefault:"localhost"`
	Port     int           `env:"POSTGRES_PORT" envDefault:"5432"`
	User     string        `env:"POSTGRES_USER" envDefault:"pharmavida_user"`
	Password config.Secret `env:"POSTGRES_PASSWORD,required"`
	Database string        `env:"POSTGRES_DATABASE" envDefault:"pharmavida_db"`
	SSLMode  string        `env:"POSTGRES_SSLMODE" envDefault:"prefer"`     // as libpq: disable, prefer, require, verify-full, …
	Parallel int           `env:"INGESTA_POSTGRES_PARALLEL" envDefault:"2"` // connections that read a large table together
}

// connectTimeout bounds reaching one address of the server and logging in.
const connectTimeout = 10 * time.Second

// maxParallel bounds the connections of a session: a server has few of them, and other clients.
const maxParallel = 16

// Validate reports values that the driver cannot work with.
func (c Config) Validate() error {
	_, err := c.driverConfig()
	if c.Parallel < 1 || c.Parallel > maxParallel {
		err = errors.Join(err, fmt.Errorf("INGESTA_POSTGRES_PARALLEL is %d: want 1 to %d connections", c.Parallel, maxParallel))
	}
	return err
}

// driverConfig returns the configuration in the driver's form.
func (c Config) driverConfig() (*pgconn.Config, error) {
	parsed, err := pgconn.ParseConfig(c.ConnString())
	if err != nil {
		// The library's error quotes parts of what it could not read, which may be the password.
		return nil, fmt.Errorf("reading the POSTGRES_* settings: host, port or sslmode (%q) is not valid", c.SSLMode)
	}
	return parsed, nil
}

// ConnString returns the configuration in libpq's keyword form. The password is in it.
func (c Config) ConnString() string {
	var b strings.Builder
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for _, pair := range [][2]string{
		{"host", c.Host},
		{"port", strconv.Itoa(c.Port)},
		{"user", c.User},
		{"password", c.Password.Reveal()},
		{"dbname", c.Database},
		{"sslmode", c.SSLMode},
		{"connect_timeout", strconv.Itoa(int(connectTimeout.Seconds()))},
		{"application_name", application},
	} {
		b.WriteString(pair[0] + "='" + quoted.Replace(pair[1]) + "' ")
	}
	return b.String()
}
