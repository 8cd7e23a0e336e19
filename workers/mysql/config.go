package mysql

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says how to reach the server. Both systems that meet here call their MySQL variables
// MYSQL_*, for different servers: SOURCE_MYSQL_* is this one, and MYSQL_* its fallback.
type Config struct {
	Host     string        `env:"SOURCE_MYSQL_HOST" envDefault:"localhost"`
	Port     int           `env:"SOURCE_MYSQL_PORT" envDefault:"3306"`
	User     string        `env:"SOURCE_MYSQL_USER" envDefault:"pharmavida_user"`
	Password config.Secret `env:"SOURCE_MYSQL_PASSWORD,required"`
	Database string        `env:"SOURCE_MYSQL_DATABASE" envDefault:"pharmavida_db"`
	TLS      string        `env:"SOURCE_MYSQL_TLS" envDefault:"preferred"` // false, preferred, true, skip-verify
}

// connectTimeout bounds reaching the server and logging in.
const connectTimeout = 10 * time.Second

// Validate reports values that the driver cannot work with.
func (c Config) Validate() error {
	if _, err := mysql.NewConnector(c.Driver()); err != nil {
		return fmt.Errorf("reading the SOURCE_MYSQL_* settings: %w", err)
	}
	return nil
}

// Driver returns the configuration in the driver's form. It is the caller's to change.
func (c Config) Driver() *mysql.Config {
	d := mysql.NewConfig()
	d.Net, d.Addr = "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	d.User, d.Passwd, d.DBName = c.User, c.Password.Reveal(), c.Database
	d.TLSConfig = c.TLS
	d.Timeout = connectTimeout
	d.ConnectionAttributes = "program_name:ingesta"
	d.Logger = &mysql.NopLogger{} // what it has to say comes back as an error too
	return d
}
