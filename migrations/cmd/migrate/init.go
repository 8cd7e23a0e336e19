package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/migrations"
	"github.com/pharmavida/ingesta/migrations/seeds"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/broker/management"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/program"
)

// initWait is how long init waits for the servers, unless --wait says otherwise.
const initWait = 3 * time.Minute

// initConfig is the configuration of init: of the three servers under the system.
type initConfig struct {
	Mode     config.Mode `env:"INGESTA_ENV" envDefault:"development"`
	Database migrations.Config
	Messages brokerConfig
	Redis    jobstore.Config
}

func (t *tool) initCommand() *cobra.Command {
	wait, seed := initWait, true
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Prepare MySQL, RabbitMQ and Redis for the system",
		Long: "Waits for MySQL, RabbitMQ and Redis; applies all migrations and verifies every table and column; puts the\n" +
			"demonstration data into a database that has no row yet (never in production); brings about the broker's\n" +
			"user, policies, exchanges and queues; verifies that Redis persists and does not evict. It may be run as\n" +
			"often as one likes, and by several at once.",
		Args: unexpected(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wait <= 0 {
				return usageError{fmt.Errorf("--wait %v is not positive", wait)}
			}
			var cfg initConfig
			if err := t.load(&cfg); err != nil {
				return err
			}
			log, err := t.logger()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), wait, fmt.Errorf("not all is ready after %v: see --wait", wait))
			defer cancel()
			return t.initialise(ctx, cfg, seed && cfg.Mode != config.Production, log)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", wait, "how long the whole may take, waiting for servers included")
	cmd.Flags().BoolVar(&seed, "seed", seed, "put demonstration data into an empty database")
	return cmd
}

// initialise prepares the three servers side by side: none waits for another one's start.
func (t *tool) initialise(ctx context.Context, cfg initConfig, seed bool, log *slog.Logger) error {
	var schema, messages, store []string // what is to be told, in the order of the servers
	var problems [3]error                // each says what is wrong with its server: one failure hides no other
	var running sync.WaitGroup
	running.Go(func() { schema, problems[0] = initSchema(ctx, cfg, seed, log) })
	running.Go(func() { messages, problems[1] = initBroker(ctx, cfg.Messages, log) })
	running.Go(func() { store, problems[2] = initRedis(ctx, cfg, log) })
	running.Wait()
	for _, line := range slices.Concat(schema, messages, store) {
		t.say("%s", line)
	}
	for i, server := range []string{"mysql", "rabbitmq", "redis"} {
		if problems[i] != nil {
			problems[i] = fmt.Errorf("%s: %w", server, problems[i])
		}
	}
	return errors.Join(problems[:]...)
}

// initSchema migrates, verifies and seeds Flowlite's database, all while no other migrator does.
func initSchema(ctx context.Context, cfg initConfig, seed bool, log *slog.Logger) (told []string, err error) {
	var m *migrations.Migrator
	err = program.Await(ctx, log.With("server", "mysql"), func(ctx context.Context) (mayPass bool, err error) {
		m, err = migrations.Open(ctx, cfg.Database, log)
		return migrations.Transient(err), err
	})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	err = m.Exclusive(ctx, func(ctx context.Context) error {
		steps, err := m.Up(ctx)
		if err != nil {
			return err
		}
		problems, err := m.Verify(ctx)
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return errors.New("the schema is not what it must be: " + strings.Join(problems, "; ") + " (restore a backup, or make by hand what is missing)")
		}
		status, err := m.Status(ctx)
		if err != nil {
			return err
		}
		told = append(told, fmt.Sprintf("mysql     %s (%s)", status.Address, status.ServerVersion),
			fmt.Sprintf("schema    version %d %s, %d migrations applied now, all tables and columns verified", status.Version, status.Name, len(steps)))
		if !seed {
			told = append(told, "seeds     left out")
			return nil
		}
		seeded, err := seedOnce(ctx, cfg.Database, m)
		told = append(told, "seeds     "+seeded)
		return err
	})
	return told, err
}

// seedOnce puts the demonstration data into a database without any row. One that is in use is left
// alone: the rows may be real, and what of the demonstration data was deleted shall stay deleted.
func seedOnce(ctx context.Context, cfg migrations.Config, m *migrations.Migrator) (told string, err error) {
	counts, err := m.RowCounts(ctx)
	if err != nil {
		return "failed", err
	}
	for _, c := range counts {
		if c.Rows > 0 {
			return "left alone: the database has rows (migrate seed adds what is missing)", nil
		}
	}
	db, err := cfg.Open()
	if err != nil {
		return "failed", err
	}
	defer db.Close()
	summary, err := seeds.Apply(ctx, db, seeds.Options{})
	if err != nil {
		return "failed", fmt.Errorf("%w (migrate init --seed=false leaves the demonstration data out)", err)
	}
	inserted := 0
	for _, table := range summary.Tables {
		inserted += table.Inserted
	}
	return fmt.Sprintf("%d rows of demonstration data", inserted), nil
}

// initBroker gives the broker its user, permissions and policies, then its exchanges and queues.
func initBroker(ctx context.Context, cfg brokerConfig, log *slog.Logger) (told []string, err error) {
	definitions, databases, err := cfg.wanted()
	if err != nil {
		return nil, err
	}
	client := management.New(cfg.Management, cfg.Broker)
	var changes []string
	defer func() { // also beside an error
		if len(changes) > 0 {
			told = append(told, "          changed: "+strings.Join(changes, ", "))
		}
	}()
	err = program.Await(ctx, log.With("server", "rabbitmq"), func(ctx context.Context) (mayPass bool, err error) {
		more, err := client.Apply(ctx, definitions)
		changes = append(changes, more...)
		refused, ok := errors.AsType[*management.Error](err)
		return ok && (refused.Kind == management.Unreachable || refused.Kind == management.Failed), err
	})
	if err != nil {
		return nil, err
	}
	err = program.Await(ctx, log.With("server", "rabbitmq"), func(ctx context.Context) (bool, error) {
		err := broker.Declare(ctx, cfg.Broker, databases)
		return errors.Is(err, broker.ErrUnreachable), err
	})
	if errors.Is(err, broker.ErrCredentials) {
		err = fmt.Errorf("%w: mend RABBITMQ_PASSWORD, or have the password of %s changed on the broker", err, cfg.Broker.User)
	}
	if err != nil {
		return nil, err
	}
	overview, err := client.Overview(ctx)
	if err != nil {
		return nil, err
	}
	told = append(told, fmt.Sprintf("rabbitmq  %s %s: queues of %d databases, %d policies", overview.Product, overview.Version, len(databases), len(definitions.Policies)))
	findings, err := settled(ctx, client, definitions, databases)
	for _, f := range findings {
		told = append(told, "          "+f.Subject+" "+f.Problem+": "+cmp.Or(f.Advice, "see the broker's log"))
	}
	return told, err
}

// Queues get their policies in the background: how long that may take, and how often to look.
const (
	settleTime  = 15 * time.Second
	settlePause = 250 * time.Millisecond
)

// settled returns what is not as it must be on a broker that was prepared: what an operator has set
// and has to change.
func settled(ctx context.Context, client *management.Client, definitions management.Definitions, databases []ingest.Database) ([]management.Finding, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, settleTime, fmt.Errorf("not as it must be %v after it was prepared", settleTime))
	defer cancel()
	tick := time.NewTicker(settlePause)
	defer tick.Stop()
	for {
		findings, err := client.Verify(ctx, definitions, databases)
		mending := slices.ContainsFunc(findings, func(f management.Finding) bool { return f.Advice == "" })
		if err != nil || !mending {
			return findings, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return findings, context.Cause(ctx)
		}
	}
}

// initRedis verifies that Redis keeps what it is told. In development it may do otherwise.
func initRedis(ctx context.Context, cfg initConfig, log *slog.Logger) ([]string, error) {
	store, err := jobstore.Open(cfg.Redis)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	var version string
	err = program.Await(ctx, log.With("server", "redis"), func(ctx context.Context) (mayPass bool, err error) {
		version, err = store.Probe(ctx)
		return redisMayPass(err), err
	})
	if err != nil {
		return nil, err
	}
	complaints, err := store.Durability(ctx)
	if err != nil {
		return nil, err
	}
	if len(complaints) == 0 {
		return []string{"redis     " + version + ": persists, evicts nothing"}, nil
	}
	if cfg.Mode == config.Production {
		return nil, errors.New(strings.Join(complaints, "; "))
	}
	return []string{"redis     " + version + ": works, but in production this would be refused: " + strings.Join(complaints, "; ")}, nil
}

// redisMayPass reports whether a failure of the probe is one of a server that is starting: away,
// loading its data, or waiting for its replicas.
func redisMayPass(err error) bool {
	for _, lasting := range []error{jobstore.ErrNoPassword, jobstore.ErrWrongPassword, jobstore.ErrForbidden, jobstore.ErrFull, jobstore.ErrNotSaving} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return errors.Is(err, jobstore.ErrUnavailable)
}
