package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

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
	if err := s.restorePackages(); err != nil {
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

	// A product that does not build must not keep the servers from coming up: its author needs them.
	var build errgroup.Group
	build.Go(func() error { return s.buildProduct(ctx) })
	served := s.serve(ctx, w, size)
	if served == nil {
		served = envfile.Write(layout.Env(), w.environment())
	}
	if err := errors.Join(served, build.Wait()); err != nil {
		return err
	}
	if err := s.each(ctx, w.product()); err != nil {
		return err
	}
	con.Say("ready", "%s · environment in %s", "http://"+server.Host+fmt.Sprintf(":%d", chosen["gateway"]), layout.Env())
	return nil
}

// serve has the servers running and the sources filled: what comes in packages beside what is built here.
func (s *Stack) serve(ctx context.Context, w wiring, size demodata.Size) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := s.installPackages(ctx); err != nil {
			return err
		}
		packaged, ctx := errgroup.WithContext(ctx)
		packaged.Go(func() error { return s.ensure(ctx, w.redis.Server()) })
		packaged.Go(func() error {
			if err := s.ensure(ctx, w.rabbitmq.Epmd()); err != nil {
				return err
			}
			return s.ensure(ctx, w.rabbitmq.Server())
		})
		packaged.Go(func() error {
			if err := s.ensure(ctx, w.postgres.Server()); err != nil {
				return err
			}
			return s.load("postgresql", func() (bool, error) {
				return demodata.PostgreSQL(ctx, w.postgres, w.source, size)
			})
		})
		packaged.Go(func() error {
			if err := s.ensure(ctx, w.mariadb.Server()); err != nil {
				return err
			}
			return s.load("mariadb", func() (bool, error) {
				return demodata.MySQL(ctx, w.mariadb, w.source, w.flowlite, size)
			})
		})
		return packaged.Wait()
	})
	group.Go(func() error {
		if err := s.buildTools(ctx); err != nil {
			return err
		}
		own, ctx := errgroup.WithContext(ctx)
		own.Go(func() error {
			if err := s.ensure(ctx, w.mongodb.Server()); err != nil {
				return err
			}
			return s.load("mongodb", func() (bool, error) { return s.loadMongoDB(ctx, w.mongodb, size) })
		})
		own.Go(func() error {
			if err := s.ensure(ctx, w.s3.Server()); err != nil {
				return err
			}
			return w.s3.CreateBucket(ctx, bucket)
		})
		return own.Wait()
	})
	return group.Wait()
}

// each ensures servers side by side.
func (s *Stack) each(ctx context.Context, servers []server.Server) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, srv := range servers {
		group.Go(func() error { return s.ensure(ctx, srv) })
	}
	return group.Wait()
}

// load runs one load of demo data and tells about it when there was something to do.
func (s *Stack) load(name string, run func() (bool, error)) error {
	task := s.console.Begin(name, "demo data")
	loaded, err := run()
	switch {
	case err != nil:
		task.Done("")
		return fmt.Errorf("filling %s: %w", name, err)
	case loaded:
		task.Done("demo data loaded")
	default:
		task.Done("demo data is there")
	}
	return nil
}

func (s *Stack) loadMongoDB(ctx context.Context, db server.FerretDB, size demodata.Size) (bool, error) {
	said, err := s.tool("mongodata", db.Environment(),
		fmt.Sprintf("-medicos=%d", size.Medicos), fmt.Sprintf("-recetas=%d", size.Recetas)).Run(ctx)
	return strings.TrimSpace(said) != "unchanged", err
}
