package workers

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/upload"
)

// Main is the program of one worker: it returns the exit code. Open makes the source from its
// configuration; C is a struct with env tags.
func Main[C any, S engine.Source](database ingest.Database, open func(C, *slog.Logger) (S, error)) int {
	return program.Main(func(ctx context.Context, process program.Process) int {
		return run(ctx, process, database, open)
	})
}

// run serves, or exports once when the first argument is "run".
func run[C any, S engine.Source](
	ctx context.Context, process program.Process, database ingest.Database, open func(C, *slog.Logger) (S, error),
) int {
	if len(process.Args) > 0 && process.Args[0] == "run" {
		process.Args = process.Args[1:]
		return once(ctx, process, database, open)
	}
	type settings struct {
		Worker Config
		Source C
	}
	name := "worker-" + string(database)
	return program.Program[settings]{
		Name: name,
		About: "Consumes the commands for " + string(database) + " and exports its datasets to S3.\n" +
			"With the argument run it exports once, without broker and Redis: see " + name + " run --help.",
		Check: func(cfg settings) error {
			_, _, err := cfg.Worker.Rules.load(database)
			return err
		},
		Address: func(cfg settings) string { return cfg.Worker.Address() },
		Reserve: func(cfg settings) int64 { return int64(cfg.Worker.Upload.Memory) },
		Run: func(ctx context.Context, cfg settings, log *slog.Logger) error {
			jobstore.LogClient(log)
			source, err := open(cfg.Source, log)
			if err != nil {
				return err
			}
			return Run(ctx, cfg.Worker, database, source, log)
		},
	}.Execute(ctx, process)
}

// once exports without broker and Redis and prints the result.
func once[C any, S engine.Source](
	ctx context.Context, process program.Process, database ingest.Database, open func(C, *slog.Logger) (S, error),
) int {
	type settings struct {
		Upload      upload.Config
		Rules       Rules
		KeyTemplate ingest.KeyTemplate `env:"INGESTA_KEY_TEMPLATE" envDefault:"{database}/{object}_{stamp}.csv"`
		Source      C
	}
	var names []string
	var datasets []catalog.Dataset
	return program.Program[settings]{
		Name:  "worker-" + string(database) + " run",
		About: "Exports datasets of " + string(database) + " to S3 once, without broker and Redis, and prints the result as JSON.",
		Flags: func(flags *flag.FlagSet) {
			flags.Func("dataset", "export this dataset only (may be repeated; default: all)", func(name string) error {
				names = append(names, name)
				return nil
			})
		},
		Check: func(cfg settings) error {
			_, db, err := cfg.Rules.load(database)
			if err != nil {
				return err
			}
			datasets, err = db.Choose(names)
			return err
		},
		Reserve: func(cfg settings) int64 { return int64(cfg.Upload.Memory) },
		Run: func(ctx context.Context, cfg settings, log *slog.Logger) error {
			source, err := open(cfg.Source, log)
			if err != nil {
				return err
			}
			lake, err := upload.New(ctx, cfg.Upload)
			if err != nil {
				return err
			}
			report := engine.RunOnce(ctx, database, datasets, cfg.KeyTemplate, source, lake, log)
			out := json.NewEncoder(process.Stdout)
			out.SetIndent("", "  ")
			if err := out.Encode(report); err != nil {
				return fmt.Errorf("printing the result: %w", err)
			}
			if report.Status != ingest.Success {
				return errors.New("not every dataset was exported")
			}
			return nil
		},
	}.Execute(ctx, process)
}
