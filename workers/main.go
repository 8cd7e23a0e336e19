package workers

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/upload"
)

// Exit codes of a worker's program.
const (
	exitOK    = 0
	exitError = 1 // it ran and failed
	exitUsage = 2 // its arguments or its configuration are wrong
)

// Main is the program of one worker: it returns the exit code. Open makes the source from its
// configuration; C is a struct with env tags.
func Main[C any, S engine.Source](database ingest.Database, open func(C, *slog.Logger) (S, error)) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := program[C, S]{database: database, open: open, environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}
	return p.run(ctx, os.Args[1:])
}

// program is one invocation of a worker's program.
type program[C any, S engine.Source] struct {
	database ingest.Database
	open     func(C, *slog.Logger) (S, error)
	environ  []string
	stdout   io.Writer
	stderr   io.Writer
}

func (p program[C, S]) run(ctx context.Context, args []string) int {
	name := "worker-" + string(p.database)
	if len(args) > 0 && args[0] == "run" {
		return p.once(ctx, name+" run", args[1:])
	}
	flags := p.flags(name, "Consumes the commands for "+string(p.database)+" and exports its datasets to S3.\n"+
		"Configured by environment variables: see .env.example.\n\n"+
		"  "+name+"                    serve\n"+
		"  "+name+" run [flags]        export once, without broker and Redis, and print the result\n")
	check := flags.Bool("check-config", false, "check the configuration, say what is wrong with it, and exit")
	version := flags.Bool("version", false, "print the version and exit")
	if code, ok := p.parse(flags, args); !ok {
		return code
	}
	if *version {
		fmt.Fprintln(p.stdout, telemetry.Version())
		return exitOK
	}

	var cfg struct {
		Config
		Source C
	}
	warnings, err := config.Load(&cfg, p.environ)
	if *check {
		err = errors.Join(append(complaints(warnings), err)...)
	}
	if err != nil {
		return p.fail(exitUsage, "the configuration is wrong", err)
	}
	if *check {
		fmt.Fprintln(p.stdout, "the configuration is valid")
		return exitOK
	}
	log := telemetry.NewLogger(p.stderr, cfg.Telemetry, name)
	jobstore.LogClient(log)
	for _, warning := range warnings {
		log.Warn(warning)
	}
	source, err := p.open(cfg.Source, log)
	if err != nil {
		return p.fail(exitUsage, "the source's configuration is wrong", err)
	}
	if err := Run(ctx, cfg.Config, p.database, source, log); err != nil {
		log.Error("the worker ended", "error", err)
		return exitError
	}
	return exitOK
}

// once is the subcommand that exports without broker and Redis.
func (p program[C, S]) once(ctx context.Context, name string, args []string) int {
	flags := p.flags(name, "Exports datasets of "+string(p.database)+" to S3 once, without broker and Redis, and prints the result as JSON.\n\n")
	var names []string
	flags.Func("dataset", "export this dataset only (may be repeated; default: all)", func(s string) error {
		names = append(names, s)
		return nil
	})
	if code, ok := p.parse(flags, args); !ok {
		return code
	}
	var cfg struct {
		Telemetry   telemetry.Config
		Upload      upload.Config
		CatalogFile string `env:"CATALOG_FILE"`
		KeyTemplate string `env:"INGESTA_KEY_TEMPLATE"`
		Source      C
	}
	cfg.KeyTemplate = ingest.DefaultKeyTemplate
	if _, err := config.Load(&cfg, p.environ); err != nil {
		return p.fail(exitUsage, "the configuration is wrong", err)
	}
	if err := ingest.CheckKeyTemplate(cfg.KeyTemplate); err != nil {
		return p.fail(exitUsage, "the configuration is wrong", err)
	}
	datasets, err := catalog.Load(cfg.CatalogFile)
	if err != nil {
		return p.fail(exitUsage, "the catalog is wrong", err)
	}
	db, ok := datasets.Database(p.database)
	if !ok {
		return p.fail(exitUsage, "nothing to export", fmt.Errorf("the catalog has no database %q", p.database))
	}
	log := telemetry.NewLogger(p.stderr, cfg.Telemetry, name)
	source, err := p.open(cfg.Source, log)
	if err != nil {
		return p.fail(exitUsage, "the source's configuration is wrong", err)
	}
	lake, err := upload.New(ctx, cfg.Upload)
	if err != nil {
		return p.fail(exitUsage, "the storage's configuration is wrong", err)
	}
	report, err := engine.RunOnce(ctx, db, names, cfg.KeyTemplate, source, lake, log)
	if err != nil {
		return p.fail(exitUsage, "nothing was exported", err)
	}
	out := json.NewEncoder(p.stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(report); err != nil {
		return p.fail(exitError, "printing the result failed", err)
	}
	if report.Status != ingest.Success {
		return exitError
	}
	return exitOK
}

func (p program[C, S]) flags(name, about string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	flags.Usage = func() {
		fmt.Fprint(p.stderr, about)
		flags.PrintDefaults()
	}
	return flags
}

// parse returns false and the exit code when the program ends with the arguments.
func (p program[C, S]) parse(flags *flag.FlagSet, args []string) (int, bool) {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK, false
	case err != nil:
		return exitUsage, false // the flag package has said why
	case flags.NArg() > 0:
		return p.fail(exitUsage, "unexpected argument", fmt.Errorf("%q: see --help", flags.Arg(0))), false
	}
	return 0, true
}

func (p program[C, S]) fail(code int, what string, err error) int {
	fmt.Fprintf(p.stderr, "%s: %v\n", what, err)
	return code
}

func complaints(warnings []string) []error {
	problems := make([]error, len(warnings))
	for i, w := range warnings {
		problems[i] = errors.New(w)
	}
	return problems
}
