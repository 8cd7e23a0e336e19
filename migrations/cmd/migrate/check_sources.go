package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/pharmavida/ingesta/migrations/check"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
)

// source is a source that can tell its server's version.
type source interface {
	engine.Source
	Version(ctx context.Context) (string, error)
}

// sourceCheck looks at a source database as its worker would: log in, open a session, and prepare
// every dataset of the catalog. No row is read. A source none of whose variables is set is not
// part of this installation.
func sourceCheck[C any, S source](
	t *tool, service check.Service, database ingest.Database, variables string, open func(C, *slog.Logger) (S, error),
) check.Check {
	var cfg struct {
		CatalogFile string `env:"CATALOG_FILE"`
		Source      C
	}
	return check.Check{Service: service, Title: "source", Run: func(ctx context.Context) []check.Finding {
		if !t.process.AnySet(variables) {
			return []check.Finding{{Outcome: check.Skip("no source of this installation: no " + variables + "* is set")}}
		}
		return t.configured(&cfg, func(ctx context.Context) []check.Finding {
			source, err := open(cfg.Source, slog.New(slog.DiscardHandler))
			if err != nil {
				return []check.Finding{{Outcome: t.sourceFailure(variables, err)}}
			}
			datasets, err := catalog.Load(cfg.CatalogFile)
			if err != nil {
				return []check.Finding{{Outcome: check.Fail(fmt.Errorf("CATALOG_FILE: %w", err), "mend the catalog")}}
			}
			var session engine.Session
			defer func() {
				if session != nil {
					_ = session.Close(context.WithoutCancel(ctx)) // it was only looked at
				}
			}()
			steps := []check.Step{{Title: "source", Gate: true, Run: func(ctx context.Context) check.Outcome {
				if session, err = source.Open(ctx); err != nil {
					return t.sourceFailure(variables, err)
				}
				version, err := source.Version(ctx)
				if err != nil {
					return t.sourceFailure(variables, err)
				}
				return check.OK("logged in, read-only session open", "server "+version)
			}}}
			db, _ := datasets.Database(database) // one that the catalog lacks has no datasets
			for _, d := range db.Datasets {
				steps = append(steps, check.Step{Title: "dataset " + d.Name, Run: func(ctx context.Context) check.Outcome {
					extraction, err := session.Prepare(ctx, d)
					if err != nil {
						return t.sourceFailure(variables, err)
					}
					return check.OK(prepared(extraction), columns(extraction)...)
				}})
			}
			return check.Walk(ctx, steps...)
		})(ctx)
	}}
}

func prepared(e engine.Extraction) string {
	text := fmt.Sprintf("%d columns", len(e.Columns))
	if e.EstimatedRows > 0 {
		text += fmt.Sprintf(", about %d rows", e.EstimatedRows)
	}
	if n := len(e.Withheld); n > 0 {
		text += fmt.Sprintf(", %d withheld", n)
	}
	return text
}

func columns(e engine.Extraction) []string {
	var names []string
	for _, c := range e.Columns {
		names = append(names, c.Name)
	}
	lines := []string{"columns: " + strings.Join(names, ", ")}
	for _, w := range e.Withheld {
		lines = append(lines, fmt.Sprintf("withheld: %s (%s)", w.Name, w.Rule))
	}
	return lines
}

// sourceFailure is the outcome of a source that failed, with the next step for its code. What the
// driver said is for those who want more.
func (t *tool) sourceFailure(variables string, err error) check.Outcome {
	step := "start the database, mend its address, or attach the worker to its network (DOCKER_NETWORK)"
	var lines []string
	if e, ok := errors.AsType[*ingest.Error](err); ok {
		if e.Cause != nil {
			lines = append(lines, e.Cause.Error())
		}
		err = fmt.Errorf("%s (%sHOST=%s, %sPORT=%s)", e.Message, variables, t.process.Getenv(variables+"HOST"), variables, t.process.Getenv(variables+"PORT"))
		switch e.Code {
		case ingest.SourceDenied:
			step = "mend user, password or database name, or let the user read there (SELECT; in MongoDB the role read)"
		case ingest.TableNotFound, ingest.ColumnNotFound:
			step = "create it, or take it out of the catalog (CATALOG_FILE)"
		}
	}
	return check.Fail(err, step, lines...)
}
