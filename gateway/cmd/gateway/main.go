// Command gateway serves the HTTP API of the ingestion system.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/pharmavida/ingesta/gateway"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it ran and failed
	exitUsage = 2 // its arguments or its configuration are wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "Serves the HTTP API of the ingestion system.\nConfigured by environment variables: see .env.example.\n\n")
		flags.PrintDefaults()
	}
	check := flags.Bool("check-config", false, "check the configuration, say what is wrong with it, and exit")
	version := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // the flag package has said why
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "unexpected argument %q: see --help\n", flags.Arg(0))
		return exitUsage
	}
	if *version {
		fmt.Fprintln(stdout, telemetry.Version())
		return exitOK
	}

	var cfg gateway.Config
	warnings, err := config.Load(&cfg, environ)
	if *check {
		for _, warning := range warnings {
			err = errors.Join(err, errors.New(warning))
		}
		err = errors.Join(err, gateway.Check(cfg))
	}
	if err != nil {
		fmt.Fprintf(stderr, "the configuration is wrong: %v\n", err)
		return exitUsage
	}
	if *check {
		fmt.Fprintln(stdout, "the configuration is valid")
		return exitOK
	}
	log := telemetry.NewLogger(stderr, cfg.Telemetry, "gateway")
	jobstore.LogClient(log)
	for _, warning := range warnings {
		log.Warn(warning)
	}
	if err := gateway.Run(ctx, cfg, log); err != nil {
		log.Error("the gateway ended", "error", err)
		return exitError
	}
	return exitOK
}
