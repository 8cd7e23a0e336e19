package management

import (
	"errors"
	"fmt"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says how to reach the management interface of a broker whose broker.Config is known: it
// is on the same host.
type Config struct {
	Port int `env:"RABBITMQ_MANAGEMENT_PORT" envDefault:"15672"`

	// User and Password log in. Without them the broker's own do, which need not be those of an
	// administrator: looking takes the tag monitoring, Apply the tag administrator.
	User     string        `env:"RABBITMQ_ADMIN_USER"`
	Password config.Secret `env:"RABBITMQ_ADMIN_PASSWORD"`
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("RABBITMQ_MANAGEMENT_PORT is %d: use 1 to 65535", c.Port))
	}
	if (c.User == "") != (c.Password == "") {
		errs = append(errs, errors.New("RABBITMQ_ADMIN_USER and RABBITMQ_ADMIN_PASSWORD belong together: set both, or neither to use RABBITMQ_USER"))
	}
	return errors.Join(errs...)
}
