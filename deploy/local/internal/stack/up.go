package stack

import (
	"context"
	"fmt"
	"os"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
	"github.com/pharmavida/ingesta/deploy/local/internal/envfile"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

// Up brings up what is wanted and writes the env file, first of all: it helps to find out why something did not
// come up. What was started stays when it fails or is interrupted.
func Up(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string, wanted Wanted) error {
	if err := layout.MakeData(); err != nil {
		return err
	}
	s, release, err := open(ctx, layout, con, getenv)
	if err != nil {
		return err
	}
	defer release()
	if err := s.state.Claim(layout.ID); err != nil {
		return err
	}
	if err := os.MkdirAll(layout.Local, 0o755); err != nil {
		return fmt.Errorf("making the local folder: %w", err)
	}
	if err := s.restorePackages(ctx); err != nil {
		return err
	}
	chosen, err := s.choosePorts(ctx)
	if err != nil {
		return err
	}
	w, err := wire(layout, chosen, s.state)
	if err != nil {
		return err
	}
	if err := envfile.Write(layout.Env(), w.environment()); err != nil {
		return err
	}

	b := builds{tools: newBuilt(), helpers: newBuilt()}
	err = together(
		func() error { return s.build(ctx, wanted, b) },
		func() error { return s.serve(ctx, w, wanted, b) },
	)
	if err != nil {
		return err
	}
	if !wanted.Product {
		con.Say("ready", "environment in %s", layout.Env())
		return nil
	}
	if err := s.ensureAll(ctx, w.product()); err != nil {
		return err
	}
	con.Say("ready", "http://%s:%d, environment in %s", server.Host, chosen["gateway"], layout.Env())
	con.Say("operate", "bin/ingesta run mysql --wait; bin/ingesta --help lists the rest")
	return nil
}

// serve has the wanted servers running, prepared and filled: what comes in packages beside what is built here.
func (s *Stack) serve(ctx context.Context, w wiring, wanted Wanted, b builds) error {
	ensure := func(srv server.Server) func() error {
		return func() error { return s.ensure(ctx, srv) }
	}
	load := func(name, database string) func() error {
		return func() error { return s.load(ctx, w, name, database, b) }
	}
	flowlite := sequence(
		func() error {
			return together(
				wanted.when("redis", ensure(w.redis.Server())),
				wanted.when("rabbitmq", ensure(w.rabbitmq.Epmd()), ensure(w.rabbitmq.Server())),
				wanted.when("mariadb",
					ensure(w.mariadb.Server()),
					func() error { return admitMariaDB(ctx, w.mariadb, w.source, w.flowlite) },
					load("mariadb", "mysql"),
				),
			)
		},
		func() error {
			if !wanted.prepared() {
				return nil
			}
			return s.migrate(ctx, w, b)
		},
	)
	packaged := sequence(
		func() error { return s.installPackages(ctx) },
		func() error {
			return together(
				flowlite,
				wanted.when("postgresql",
					ensure(w.postgres.Server()),
					func() error { return admitPostgres(ctx, w.postgres, w.source) },
					load("postgresql", "postgresql"),
				),
			)
		},
	)
	compiled := func() error {
		if !b.tools.wait() {
			return nil
		}
		return together(
			wanted.when("mongodb", ensure(w.mongodb.Server()), load("mongodb", "mongodb")),
			wanted.when("s3", ensure(w.s3.Server()), func() error { return w.s3.CreateBucket(ctx, bucket) }),
		)
	}
	return together(packaged, compiled)
}

func (s *Stack) ensureAll(ctx context.Context, servers []server.Server) error {
	var tasks []func() error
	for _, srv := range servers {
		tasks = append(tasks, func() error { return s.ensure(ctx, srv) })
	}
	return together(tasks...)
}
