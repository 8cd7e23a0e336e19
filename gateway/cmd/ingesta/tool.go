package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

const (
	defaultTimeout  = 30 * time.Second // of a command that waits for nothing
	exchangeTimeout = 20 * time.Second // of one request: longer than the slowest acceptance
)

// tool is what every command works with.
type tool struct {
	process program.Process
	flags   struct {
		url, token, output, config string
		timeout                    time.Duration
		noColor                    bool
	}
	settings settings
	stack    map[string]string // variables of the local stack's file
	now      func() time.Time
	zone     *time.Location // of the times that are shown

	release []func()          // to be called at the end, the last first
	screen  func(text string) // takes notes while jobs are followed; nil: nobody does
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, process program.Process) int {
	t := &tool{process: process, now: time.Now, zone: time.Local}
	return t.run(ctx)
}

func (t *tool) run(ctx context.Context) int {
	root := t.root() //nolint:contextcheck // the commands get ctx by ExecuteContext
	root.SetArgs(t.process.Args)
	root.SetIn(t.process.Stdin)
	root.SetOut(t.process.Stdout)
	root.SetErr(t.process.Stderr)
	err := root.ExecuteContext(ctx)
	for i := len(t.release) - 1; i >= 0; i-- {
		t.release[i]()
	}
	code := exitCode(ctx, err)
	switch {
	case err == nil, errors.As(err, new(ended)):
	case code == exitInterrupted:
		fmt.Fprintln(t.process.Stderr, "ingesta: interrupted")
	default:
		fmt.Fprintln(t.process.Stderr, "ingesta:", cleanLines(t.explain(err)))
	}
	return code
}

func (t *tool) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "ingesta",
		Short: "Order ingestions, follow them, and look after the system",
		Long: "Orders ingestions of the pharmacy chain's databases into S3, follows them, and looks after the system,\n" +
			"over the gateway's HTTP API.\n\n" +
			"Data goes to standard output, as tables or as JSON; progress and advice go to standard error.\n" +
			"The gateway's address and the token come from a flag, else from INGESTA_URL and INGESTA_TOKEN (or\n" +
			"INGESTA_TOKEN_FILE), else from the configuration file (url, token or token_file, output), else from the local\n" +
			"stack's .env or .local/env in this folder; ingesta config shows which.\n\n" + exitCodes,
		Example: "  ingesta run mysql --wait\n" +
			"  ingesta run all --wait --output json\n" +
			"  ingesta jobs --status error\n" +
			"  ingesta datasets ddl mysql users",
		Args:          unexpected(cobra.NoArgs),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return t.prepare(cmd)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				fmt.Fprintln(t.process.Stdout, telemetry.Version())
				return nil
			}
			return cmd.Help()
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&t.flags.url, "url", "", "address of the gateway (default "+defaultURL+")")
	flags.StringVar(&t.flags.token, "token", "", "token to show the gateway; others on this machine see a command line, but not INGESTA_TOKEN")
	flags.StringVar(&t.flags.output, "output", "", "form of what is printed: table or json (default table)")
	flags.StringVar(&t.flags.config, "config", "", "configuration file (default ~/.config/ingesta/config.yaml)")
	flags.DurationVar(&t.flags.timeout, "timeout", 0, "give up after this time (default 30s; none for what waits, watches, listens or downloads)")
	flags.BoolVar(&t.flags.noColor, "no-color", false, "no colours; NO_COLOR says the same")
	root.Flags().BoolVar(&version, "version", false, "print the version and exit") // cobra's own links text/template, and with it every exported method
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
	})
	complete(root, "output", outputTable, outputJSON)
	root.AddCommand(
		t.runCommand(), t.jobsCommand(), t.jobCommand(), t.cancelCommand(), t.retryCommand(),
		t.datasetsCommand(), t.downloadCommand(), t.deadCommand(), t.eventsCommand(), t.healthCommand(),
		t.tokenCommand(), t.configCommand(),
	)
	return root
}

// patient marks a command that may take as long as it takes: its value names the flag that makes it so,
// or is empty when the command always is.
const patient = "patient"

// prepare resolves the settings, and bounds the command's time.
func (t *tool) prepare(cmd *cobra.Command) error {
	if isAboutItself(cmd) {
		return nil
	}
	if t.flags.timeout < 0 {
		return usageError{fmt.Errorf("--timeout %s is negative", t.flags.timeout)}
	}
	if err := t.resolve(); err != nil {
		return err
	}
	limit := t.flags.timeout
	if limit == 0 {
		if flag, may := cmd.Annotations[patient]; may && (flag == "" || cmd.Flags().Changed(flag)) {
			return nil
		}
		limit = defaultTimeout
		t.flags.timeout = limit
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), limit, errOutOfTime)
	t.release = append(t.release, cancel)
	cmd.SetContext(ctx)
	return nil
}

// isAboutItself reports whether the command explains the program or completes its command lines: such
// ones need no settings, which may be wrong.
func isAboutItself(cmd *cobra.Command) bool {
	for ; cmd != nil; cmd = cmd.Parent() {
		switch cmd.Name() {
		case "completion", "help", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
			return true
		}
	}
	return false
}

// client returns a client of the gateway that the settings name.
func (t *tool) client() (*client.Client, error) {
	if strings.ContainsFunc(t.settings.token.value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usageError{fmt.Errorf("the token (%s) has a space, a line break or another character that is in no token", t.settings.token.source)}
	}
	c, err := client.New(client.Config{
		URL: t.settings.url.value, Token: config.Secret(t.settings.token.value), Timeout: exchangeTimeout,
		Agent: "ingesta/" + telemetry.Version(), Trouble: t.trouble,
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("%w (%s)", err, t.settings.url.source)}
	}
	t.release = append(t.release, c.Close)
	return c, nil
}

// asking is what a command does that asks the gateway.
func (t *tool) asking(do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		return do(cmd.Context(), c, args)
	}
}

// trouble tells that something failed and is tried again.
func (t *tool) trouble(err error, pause time.Duration) {
	said := strings.SplitN(err.Error(), "\n", 2)[0]
	if lost, ok := errors.AsType[*client.Unreachable](err); ok {
		said = whyUnreachable(lost)
	}
	said = fmt.Sprintf("%s; trying again in %s", said, pause.Round(100*time.Millisecond))
	if t.screen != nil {
		t.screen(said)
		return
	}
	t.note("%s", said)
}

// note writes a line to standard error.
func (t *tool) note(format string, args ...any) {
	fmt.Fprintln(t.process.Stderr, cleanLines(fmt.Sprintf(format, args...)))
}

// terminalSize returns the size of the terminal behind standard error, zeros when that is none.
func (t *tool) terminalSize() (width, height int) {
	file, ok := t.process.Stderr.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// asJSON reports whether JSON was asked for.
func (t *tool) asJSON() bool { return t.settings.output.value == outputJSON }

// colours reports whether what is written to w may have colours.
func (t *tool) colours(w io.Writer) bool {
	return !t.flags.noColor && t.process.Getenv("NO_COLOR") == "" && t.isTerminal(w)
}

// isTerminal reports whether w is a terminal that can do more than print lines.
func (t *tool) isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && t.process.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// unexpected makes what is wrong with a command's arguments a usageError.
func unexpected(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w\nUsage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}
