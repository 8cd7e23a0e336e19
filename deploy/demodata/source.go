package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/mongodb"
	"github.com/pharmavida/ingesta/workers/mysql"
	"github.com/pharmavida/ingesta/workers/postgresql"
)

// source is a database to fill.
type source interface {
	Database() ingest.Database

	// Ping connects, logs in and asks for an answer; its error tells whether the trouble may pass.
	Ping(ctx context.Context) error

	// Load brings the database to the size and says what it made; "" when it stood already.
	Load(ctx context.Context, size Size) (made string, err error)
}

// closeTimeout is how long taking leave of a server may take.
const closeTimeout = 3 * time.Second

var databases = []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL}

// configured returns the sources that are wanted, all where none is named, each with its variables
// read from environ (as of os.Environ). All problems are reported at once.
func configured(only []ingest.Database, environ []string) ([]source, error) {
	var sources []source
	var problems []error
	for _, database := range databases {
		if len(only) > 0 && !slices.Contains(only, database) {
			continue
		}
		var s source
		var err error
		switch database {
		case ingest.MongoDB:
			s, err = open(environ, mongodb.New, func(cfg mongodb.Config, p pinger) source { return mongoSource{p, cfg} })
		case ingest.MySQL:
			s, err = open(environ, mysql.New, func(cfg mysql.Config, p pinger) source { return mysqlSource{p, cfg} })
		case ingest.PostgreSQL:
			s, err = open(environ, postgresql.New, func(cfg postgresql.Config, p pinger) source { return postgresSource{p, cfg} })
		}
		sources, problems = append(sources, s), append(problems, err)
	}
	return sources, errors.Join(problems...)
}

// pinger is what a worker's source does for this program: it tells trouble that may pass from a login
// that is refused.
type pinger interface {
	Ping(ctx context.Context) error
}

// open reads a source's configuration and returns what newSource makes of it.
func open[C any, P pinger](environ []string, newPinger func(C, *slog.Logger) (P, error), newSource func(C, pinger) source) (source, error) {
	var cfg C
	if _, err := config.Load(&cfg, environ); err != nil { // its warnings are given by the frame of the program
		return nil, err
	}
	p, err := newPinger(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return newSource(cfg, p), nil
}
