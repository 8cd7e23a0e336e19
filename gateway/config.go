package gateway

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/gateway/presign"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// Config is the gateway's whole configuration.
type Config struct {
	Mode        config.Mode `env:"INGESTA_ENV" envDefault:"development"`
	Host        string      `env:"GATEWAY_HOST"` // address to listen on; empty: all
	Port        int         `env:"GATEWAY_PORT" envDefault:"8000"`
	CatalogFile string      `env:"CATALOG_FILE"` // empty: the built-in catalog
	Auth        auth.Config
	API         api.Config
	Jobs        jobs.Config
	Store       jobstore.Config
	Broker      broker.Config
	Downloads   presign.Config
}

// Address returns the address to listen on.
func (c Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// Validate reports what the parts cannot see by themselves.
func (c Config) Validate() error {
	var problems []error
	if c.Port < 0 || c.Port > 65535 {
		problems = append(problems, fmt.Errorf("GATEWAY_PORT %d is not a port", c.Port))
	}
	if c.Mode == config.Production {
		problems = append(problems, c.Auth.ValidateProduction())
	}
	return errors.Join(problems...)
}

// Check reports what is wrong with the files that the configuration names.
func Check(cfg Config) error {
	if _, err := catalog.Load(cfg.CatalogFile); err != nil {
		return fmt.Errorf("CATALOG_FILE: %w", err)
	}
	return nil
}
