package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/migrations/check"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/workers/mongodb"
	"github.com/pharmavida/ingesta/workers/mysql"
	"github.com/pharmavida/ingesta/workers/postgresql"
)

// checkTimeout is how long a look at one server takes at most, unless --timeout says otherwise:
// longer than the drivers' own patience, whose reports say more.
const checkTimeout = 15 * time.Second

func (t *tool) checkCommand() *cobra.Command {
	var services []string
	verbose, asJSON, timeout := false, false, checkTimeout
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look at every server, and say of each what is wrong and what to do",
		Long: "Looks at every server side by side: does it answer, does it take the credentials, does it do its work,\n" +
			"does it hold what the system needs. Exits with 1 when something failed. It changes nothing that lasts.",
		Args: unexpected(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return usageError{fmt.Errorf("--timeout %v is not positive", timeout)}
			}
			chosen, err := check.Select(t.checks(), services...)
			if err != nil {
				return usageError{err}
			}
			jobstore.LogClient(slog.New(slog.DiscardHandler)) // the report says it
			report := check.Run(cmd.Context(), chosen, timeout)
			if asJSON {
				out := json.NewEncoder(t.process.Stdout)
				out.SetIndent("", "  ")
				err = out.Encode(report)
			} else {
				err = report.Write(t.process.Stdout, verbose, isTerminal(t.process.Stdout))
			}
			if err == nil && !report.OK() {
				return errTold
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "with versions, row counts, queues and columns")
	cmd.Flags().StringSliceVar(&services, "service", nil, fmt.Sprintf("only this service of %v (may be repeated)", check.Services()))
	cmd.Flags().BoolVar(&asJSON, "json", false, "for machines")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "of each server")
	return cmd
}

// isTerminal reports whether a person is likely to look at what is written to w, in colours.
func isTerminal(w any) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// checks returns a look at each server of the system, in the order of the report.
func (t *tool) checks() []check.Check {
	return []check.Check{
		check.Containers(t.process.Getenv("DOCKER_HOST")),
		t.checkSchema(),
		sourceCheck(t, check.MySQL, ingest.MySQL, "SOURCE_MYSQL_", mysql.New),
		t.checkMessages(),
		t.checkBroker(),
		t.checkRedis(),
		t.checkBucket(),
		sourceCheck(t, check.MongoDB, ingest.MongoDB, "MONGO_", mongodb.New),
		sourceCheck(t, check.PostgreSQL, ingest.PostgreSQL, "POSTGRES_", postgresql.New),
	}
}

// configured looks only when the configuration of the service can be read into cfg, and otherwise
// says what is wrong with it.
func (t *tool) configured(cfg any, look func(context.Context) []check.Finding) func(context.Context) []check.Finding {
	return func(ctx context.Context) []check.Finding {
		if err := t.load(cfg); err != nil {
			return []check.Finding{{Outcome: check.Fail(err, "set the variables: .env.example explains each")}}
		}
		return look(ctx)
	}
}

// startIt is the next step for a server that does not answer.
func startIt(service string) string {
	return "start it (docker compose up -d " + service + ", or make up), or mend the address"
}
