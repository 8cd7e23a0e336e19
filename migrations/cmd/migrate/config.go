package main

import (
	"errors"
	"fmt"

	"github.com/pharmavida/ingesta/deploy/rabbitmq"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/broker/management"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/telemetry"
	"github.com/pharmavida/ingesta/workers/mongodb"
	"github.com/pharmavida/ingesta/workers/mysql"
	"github.com/pharmavida/ingesta/workers/postgresql"
	"github.com/pharmavida/ingesta/workers/upload"
)

// load fills cfg from the environment. What is wrong with it is a usageError.
func (t *tool) load(cfg any) error {
	if _, err := config.Load(cfg, t.process.Environ); err != nil {
		return usageError{fmt.Errorf("the configuration is wrong: %w", err)}
	}
	return nil
}

// checkConfig says all that is wrong with the configuration of init and check.
func (t *tool) checkConfig() error {
	var everything struct {
		Telemetry telemetry.Config
		Init      initConfig
		Check     struct {
			Upload     upload.Config
			MongoDB    mongodb.Config
			MySQL      mysql.Config
			PostgreSQL postgresql.Config
		}
	}
	warnings, err := config.Load(&everything, t.process.Environ)
	for _, warning := range warnings {
		err = errors.Join(err, errors.New(warning))
	}
	if err != nil {
		return usageError{fmt.Errorf("the configuration is wrong: %w", err)}
	}
	t.say("the configuration is valid")
	return nil
}

// brokerConfig is what it takes to prepare a broker and to look at it.
type brokerConfig struct {
	Broker      broker.Config
	Management  management.Config
	CatalogFile string `env:"CATALOG_FILE"`
}

// wanted returns what has to be on the broker: the policies, and queues for the catalog's databases.
func (c brokerConfig) wanted() (management.Definitions, []ingest.Database, error) {
	datasets, err := catalog.Load(c.CatalogFile)
	if err != nil {
		return management.Definitions{}, nil, fmt.Errorf("CATALOG_FILE: %w", err)
	}
	var databases []ingest.Database
	for _, db := range datasets.Databases() {
		databases = append(databases, db.Name)
	}
	definitions, err := management.ParseDefinitions(rabbitmq.Definitions())
	return definitions, databases, err
}
