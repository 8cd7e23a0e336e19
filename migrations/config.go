package migrations

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

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

// connectTimeout bounds reaching the server.
const connectTimeout = 10 * time.Second

// tlsModes are the values of MYSQL_TLS, which are the driver's.
var tlsModes = []string{"false", "preferred", "true", "skip-verify"}

// address is where the database is and how to log in, whichever way it was said.
type address struct {
	host           string
	port           int
	user, password string
	database       string
	tls            string
}

// String shows the address without its password.
func (a address) String() string {
	return a.user + "@" + a.hostPort() + "/" + a.database
}

func (a address) hostPort() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

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

// open returns a pool; several statements can be sent at once where multi says so.
func (a address) open(multi bool) (*sql.DB, error) {
	d := mysql.NewConfig()
	d.Net, d.Addr = "tcp", a.hostPort()
	d.User, d.Passwd, d.DBName = a.user, a.password, a.database
	d.TLSConfig = a.tls
	d.Timeout = connectTimeout
	d.ParseTime, d.Loc, d.Params = true, time.UTC, map[string]string{"time_zone": "'+00:00'"}
	d.MultiStatements = multi
	d.ConnectionAttributes = "program_name:ingesta"
	d.Logger = &mysql.NopLogger{} // what it has to say comes back as an error too
	connector, err := mysql.NewConnector(d)
	if err != nil {
		return nil, fmt.Errorf("reading the settings of Flowlite's database: %w", err)
	}
	return sql.OpenDB(connector), nil
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
