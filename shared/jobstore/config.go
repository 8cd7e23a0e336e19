package jobstore

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/pharmavida/ingesta/shared/config"
)

// Config says where Redis is and how long things last there.
type Config struct {
	Host     string        `env:"REDIS_HOST" envDefault:"localhost"`
	Port     int           `env:"REDIS_PORT" envDefault:"6379"`
	Password config.Secret `env:"REDIS_PASSWORD"`
	DB       int           `env:"REDIS_DB" envDefault:"0"`

	DialTimeout time.Duration `env:"INGESTA_REDIS_DIAL_TIMEOUT" envDefault:"2s"`
	IOTimeout   time.Duration `env:"INGESTA_REDIS_IO_TIMEOUT" envDefault:"3s"` // of one read or write
	Timeout     time.Duration `env:"INGESTA_REDIS_TIMEOUT" envDefault:"5s"`    // of one call, repetitions included

	// Prefix names the system's keys. It becomes a hash tag, so all of them share one slot.
	Prefix string `env:"INGESTA_REDIS_PREFIX" envDefault:"ingesta"`

	Retention      time.Duration `env:"INGESTA_RETENTION" envDefault:"168h"`      // of terminal jobs
	Lease          time.Duration `env:"INGESTA_LEASE" envDefault:"45s"`           // a claim's, without renewal
	MaxFailures    int           `env:"INGESTA_MAX_FAILURES" envDefault:"5"`      // transient failures and expired leases
	IdempotencyTTL time.Duration `env:"INGESTA_IDEMPOTENCY_TTL" envDefault:"24h"` // of Idempotency-Key records
	RepublishAfter time.Duration `env:"INGESTA_REPUBLISH_AFTER" envDefault:"1h"`  // of a job without a lease, doubling
}

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	var problems []error
	if c.Host == "" {
		problems = append(problems, errors.New("REDIS_HOST is empty"))
	}
	if c.Port < 1 || c.Port > 65535 {
		problems = append(problems, fmt.Errorf("REDIS_PORT %d is not a port", c.Port))
	}
	if c.DB < 0 {
		problems = append(problems, fmt.Errorf("REDIS_DB %d is negative", c.DB))
	}
	if c.Prefix == "" || strings.ContainsAny(c.Prefix, "{} ") {
		problems = append(problems, fmt.Errorf("INGESTA_REDIS_PREFIX %q must not be empty nor hold braces or spaces", c.Prefix))
	}
	if c.MaxFailures < 1 {
		problems = append(problems, fmt.Errorf("INGESTA_MAX_FAILURES %d is less than 1", c.MaxFailures))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"INGESTA_REDIS_DIAL_TIMEOUT", c.DialTimeout},
		{"INGESTA_REDIS_IO_TIMEOUT", c.IOTimeout},
		{"INGESTA_REDIS_TIMEOUT", c.Timeout},
		{"INGESTA_RETENTION", c.Retention},
		{"INGESTA_LEASE", c.Lease},
		{"INGESTA_IDEMPOTENCY_TTL", c.IdempotencyTTL},
		{"INGESTA_REPUBLISH_AFTER", c.RepublishAfter},
	} {
		if d.value < time.Millisecond {
			problems = append(problems, fmt.Errorf("%s %v is shorter than a millisecond, the store's unit of time", d.name, d.value))
		}
	}
	return errors.Join(problems...)
}

// options returns the client's settings: bounded waits everywhere, so that a frozen server fails
// calls instead of holding them.
func (c Config) options() *redis.Options {
	return &redis.Options{
		Addr:     net.JoinHostPort(c.Host, strconv.Itoa(c.Port)),
		Password: c.Password.Reveal(),
		DB:       c.DB,

		DialTimeout:           c.DialTimeout,
		DialerRetries:         1, // a call is repeated as a whole
		ReadTimeout:           c.IOTimeout,
		WriteTimeout:          c.IOTimeout,
		ContextTimeoutEnabled: true,

		// Neither the client's name nor notices of a managed cluster's maintenance are of use here,
		// and older servers answer errors to both.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}
