package broker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says where the broker is and how long to wait for it.
type Config struct {
	Host     string        `env:"RABBITMQ_HOST" envDefault:"localhost"`
	Port     int           `env:"RABBITMQ_PORT" envDefault:"5672"`
	User     string        `env:"RABBITMQ_USER" envDefault:"guest"`
	Password config.Secret `env:"RABBITMQ_PASSWORD" envDefault:"guest"`
	VHost    string        `env:"RABBITMQ_VHOST" envDefault:"/"`

	// Queue is where other services wait for terminal events.
	Queue string `env:"RABBITMQ_QUEUE" envDefault:"batch_processed"`

	// Delays are the waiting times before a command is delivered again. Each has a queue of its
	// own, named after it.
	Delays []time.Duration `env:"INGESTA_RETRY_DELAYS" envDefault:"10s,1m,5m,30m"`

	// ConfirmTimeout bounds a publish. When it runs out the connection is given up.
	ConfirmTimeout time.Duration `env:"INGESTA_CONFIRM_TIMEOUT" envDefault:"5s"`
}

// maxName is how long a name may be in AMQP 0-9-1: a short string, in bytes.
const maxName = 255

// maxDelay keeps the time-to-live of a delay queue within the 32 bits that every broker accepts.
const maxDelay = 24 * 24 * time.Hour

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Host == "" {
		errs = append(errs, errors.New("RABBITMQ_HOST is empty"))
	}
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("RABBITMQ_PORT is %d: use 1 to 65535", c.Port))
	}
	if c.Queue == "" || len(c.Queue) > maxName || strings.HasPrefix(c.Queue, "amq.") || strings.HasPrefix(c.Queue, prefix) {
		errs = append(errs, fmt.Errorf("RABBITMQ_QUEUE is %.40q: use a name that is not empty, has at most %d bytes and does not begin with amq. or %s", c.Queue, maxName, prefix))
	}
	if len(c.Delays) == 0 {
		errs = append(errs, errors.New("INGESTA_RETRY_DELAYS is empty: name at least one delay"))
	}
	seen := make(map[time.Duration]bool, len(c.Delays))
	for _, d := range c.Delays {
		switch {
		case d < time.Millisecond || d > maxDelay || d%time.Millisecond != 0:
			errs = append(errs, fmt.Errorf("INGESTA_RETRY_DELAYS has %s: use whole milliseconds, from 1ms to %s", d, maxDelay))
		case seen[d]:
			errs = append(errs, fmt.Errorf("INGESTA_RETRY_DELAYS has %s twice", d))
		}
		seen[d] = true
	}
	if c.ConfirmTimeout <= 0 {
		errs = append(errs, fmt.Errorf("INGESTA_CONFIRM_TIMEOUT is %s: use a positive duration", c.ConfirmTimeout))
	}
	return errors.Join(errs...)
}
