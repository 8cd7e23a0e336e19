package postgresql

import (
	"strconv"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says how to reach the server.
type Config struct {
	Host     string        `env:"POSTGRES_HOST" envDefault:"localhost"`
	Port     int           `env:"POSTGRES_PORT" envDefault:"5432"`
	User     string        `env:"POSTGRES_USER" envDefault:"pharmavida_user"`
	Password config.Secret `env:"POSTGRES_PASSWORD,required"`
	Database string        `env:"POSTGRES_DATABASE" envDefault:"pharmavida_db"`
	SSLMode  string        `env:"POSTGRES_SSLMODE" envDefault:"prefer"` // as libpq: disable, prefer, require, verify-full, …
}

// connectTimeout bounds reaching one address of the server and logging in.
const connectTimeout = 10 * time.Second

// connString returns the configuration in libpq's keyword form.
func (c Config) connString() string {
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
