package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

// tool is what every command works with.
type tool struct {
	process program.Process
}

// usageError is a fault of the command line or of the configuration: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errTold has been told in full already; only the exit code is left to be set.
var errTold = errors.New("failed")

// run carries out one command line and returns the exit code.
func run(ctx context.Context, process program.Process) int {
	root := (&tool{process}).root() //nolint:contextcheck // the commands get ctx by ExecuteContext
	root.SetArgs(process.Args)
	root.SetIn(process.Stdin)
	root.SetOut(process.Stdout)
	root.SetErr(process.Stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return program.ExitOK
	case errors.Is(err, errTold):
		return program.ExitError
	case errors.As(err, new(usageError)):
		fmt.Fprintln(process.Stderr, err)
		return program.ExitUsage
	default:
		fmt.Fprintln(process.Stderr, "migrate:", err)
		return program.ExitError
	}
}

func (t *tool) root() *cobra.Command {
	checkConfig, version := false, false
	envFile := ""
	root := &cobra.Command{
		Use:   "migrate",
		Short: "Keep the infrastructure under the system in shape",
		Long: "Keeps the infrastructure under the system in shape: the schema of Flowlite's MySQL database, its\n" +
			"demonstration data, the broker's topology and policies, and a check of every server.\n" +
			"Configured by environment variables: see .env.example. Those that are not set are looked for in a file.",
		Args:          unexpected(cobra.NoArgs),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return t.readEnvFile(envFile, cmd.Flags().Changed("env-file"))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case version:
				t.say("%s", telemetry.Version())
				return nil
			case checkConfig:
				return t.checkConfig()
			default:
				return cmd.Help()
			}
		},
	}
	root.PersistentFlags().StringVar(&envFile, "env-file", "", "file with variables that are not set (default .env, else that of the local stack; \"\" for none)")
	root.Flags().BoolVar(&checkConfig, "check-config", false, "check the configuration of every command, say what is wrong with it, and exit")
	root.Flags().BoolVar(&version, "version", false, "print the version and exit") // cobra's own links text/template, and with it every exported method
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(
		t.initCommand(), t.checkCommand(),
		t.upCommand(), t.downCommand(), t.gotoCommand(), t.statusCommand(), t.historyCommand(), t.forceCommand(), t.createCommand(),
		t.seedCommand(),
	)
	return root
}

// unexpected makes what is wrong with a command's arguments a usageError.
func unexpected(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

// logger returns the log for what happens meanwhile; results go to standard output. It is for
// people unless LOG_FORMAT says otherwise.
func (t *tool) logger() (*slog.Logger, error) {
	var cfg telemetry.Config
	if err := t.load(&cfg); err != nil {
		return nil, err
	}
	if !t.process.AnySet("LOG_FORMAT=") {
		cfg.Format = telemetry.Text
	}
	log := telemetry.NewLogger(t.process.Stderr, cfg, "migrate")
	jobstore.LogClient(log)
	return log, nil
}

// say writes a line to standard output.
func (t *tool) say(format string, args ...any) { fmt.Fprintf(t.process.Stdout, format+"\n", args...) }

// confirm asks whether to go on and wants a yes. The end of ctx is a no.
func (t *tool) confirm(ctx context.Context, warning string) error {
	fmt.Fprintf(t.process.Stderr, "%s\nGo on? [y/N] ", warning)
	answers := make(chan string, 1) // has room for an answer that nobody waits for any more
	go func() {
		line, _ := bufio.NewReader(t.process.Stdin).ReadString('\n') // no answer is a no
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
		return errors.New("nothing was changed: answer y, or pass --yes")
	case <-ctx.Done():
		fmt.Fprintln(t.process.Stderr)
		return fmt.Errorf("nothing was changed: %w", context.Cause(ctx))
	}
}
