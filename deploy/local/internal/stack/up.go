package stack

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
	"github.com/pharmavida/ingesta/deploy/local/internal/demodata"
	"github.com/pharmavida/ingesta/deploy/local/internal/envfile"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

// Up brings the whole stack up and writes .local/env. What was started stays when it fails or is interrupted.
func Up(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string) error {
	size, err := demodata.NewSize(getenv)
	if err != nil {
		return err
	}
	if err := layout.MakeData(); err != nil {
		return err
	}
	s, release, err := open(ctx, layout, con, getenv)
	if err != nil {
		return err
	}
	defer release()
	if err := os.MkdirAll(layout.Local, 0o755); err != nil {
		return fmt.Errorf("making the local folder: %w", err)
	}
	if err := s.restorePackages(ctx); err != nil {
		return err
	}
	chosen, err := s.choosePorts()
	if err != nil {
		return err
	}
	w, err := wire(layout, chosen, s.state)
	if err != nil {
		return err
	}

	toolsBuilt := make(chan struct{})
	err = together(
		func() error {
			if err := s.serve(ctx, w, size, toolsBuilt); err != nil {
				return err
			}
			return envfile.Write(layout.Env(), w.environment())
		},
		sequence(
			func() error { return s.fetchProduct(ctx) },
			func() error {
				<-toolsBuilt // two compilations at once would do much of the work twice
				return s.buildProduct(ctx)
			},
		),
	)
	if err != nil {
		return err
	}
	if err := s.ensureAll(ctx, w.product()); err != nil {
		return err
	}
	con.Say("ready", "http://%s:%d, environment in %s", server.Host, chosen["gateway"], layout.Env())
	return nil
}

// serve has the servers running and the sources filled: what comes in packages beside what is built here.
// It closes toolsBuilt when it has finished compiling, well or not.
func (s *Stack) serve(ctx context.Context, w wiring, size demodata.Size, toolsBuilt chan<- struct{}) error {
	packaged := func() error {
		if err := s.installPackages(ctx); err != nil {
			return err
		}
		return together(
			func() error { return s.ensure(ctx, w.redis.Server()) },
			sequence(
				func() error { return s.ensure(ctx, w.rabbitmq.Epmd()) },
				func() error { return s.ensure(ctx, w.rabbitmq.Server()) },
			),
			sequence(
				func() error { return s.ensure(ctx, w.postgres.Server()) },
				func() error {
					return s.load("postgresql", func() (bool, error) {
						return demodata.PostgreSQL(ctx, w.postgres, w.source, size)
					})
				},
			),
			sequence(
				func() error { return s.ensure(ctx, w.mariadb.Server()) },
				func() error {
					return s.load("mariadb", func() (bool, error) {
						return demodata.MySQL(ctx, w.mariadb, w.source, w.flowlite, size)
					})
				},
			),
		)
	}
	built := func() error {
		err := s.buildTools(ctx)
		close(toolsBuilt)
		if err != nil {
			return err
		}
		return together(
			sequence(
				func() error { return s.ensure(ctx, w.mongodb.Server()) },
				func() error {
					return s.load("mongodb", func() (bool, error) { return s.loadMongoDB(ctx, w.mongodb, size) })
				},
			),
			sequence(
				func() error { return s.ensure(ctx, w.s3.Server()) },
				func() error { return w.s3.CreateBucket(ctx, bucket) },
			),
		)
	}
	return together(packaged, built)
}

func (s *Stack) ensureAll(ctx context.Context, servers []server.Server) error {
	var tasks []func() error
	for _, srv := range servers {
		tasks = append(tasks, func() error { return s.ensure(ctx, srv) })
	}
	return together(tasks...)
}

// load runs one load of demo data.
func (s *Stack) load(name string, run func() (bool, error)) error {
	task := s.console.Begin(name, "loading demo data")
	defer task.Drop()
	loaded, err := run()
	if err != nil {
		return fmt.Errorf("filling %s: %w", name, err)
	}
	if loaded {
		task.Done("demo data loaded")
	}
	return nil
}

func (s *Stack) loadMongoDB(ctx context.Context, db server.FerretDB, size demodata.Size) (bool, error) {
	said, err := s.tool("mongodata", db.Environment(),
		fmt.Sprintf("-medicos=%d", size.Medicos), fmt.Sprintf("-recetas=%d", size.Recetas)).Run(ctx)
	return strings.TrimSpace(said) != "unchanged", err
}
