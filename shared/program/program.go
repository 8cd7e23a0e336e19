// Package program is the frame of a main program: flags, configuration, log, signals and exit
// codes, the same in all of them. What a program does is a function that runs until its context
// ends.
//
// Every program has --check-config, which says all that is wrong with the configuration at once,
// and --version; one that serves has --healthcheck, for containers that hold nothing but the
// program. A configuration that is wrong keeps a program from starting, with the same words and the
// same exit code; a variable that is probably a typing error only does under --check-config.
//
// Go's memory limit follows that of the cgroup, so a container's limit is the only one to set; see
// Program.Reserve.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

// Exit codes.
const (
	ExitOK    = 0
	ExitError = 1 // it ran and failed
	ExitUsage = 2 // its arguments or its configuration are wrong
)

// Process is what a program is started with.
type Process struct {
	Args    []string // without the program's name
	Environ []string // as of os.Environ
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
}

// Getenv returns the value of a variable, empty when it is not set. Of several the last one counts.
func (p Process) Getenv(name string) (value string) {
	for _, variable := range p.Environ {
		if v, ok := strings.CutPrefix(variable, name+"="); ok {
			value = v
		}
	}
	return value
}

// AnySet reports whether a variable of this prefix is set.
func (p Process) AnySet(prefix string) bool {
	return slices.ContainsFunc(p.Environ, func(variable string) bool { return strings.HasPrefix(variable, prefix) })
}

// Main calls run as this process, with a context that an interrupt or a termination signal ends,
// and returns the exit code. A second interrupt ends the process at once. Go's memory limit is set before.
func Main(run func(context.Context, Process) int) int {
	_, _, _ = limitMemory(0, memlimit.FromCgroup) // Execute tells of it, and knows what to reserve
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whoever interrupts a second time waits in vain for the program to stop. A second SIGTERM changes
	// nothing: it is no person's, and who sends it has a stronger signal.
	defer context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })()
	return run(ctx, Process{Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
}

// Program is a program whose configuration is C, a struct as package config loads it.
type Program[C any] struct {
	Name  string              // in its usage and its log lines
	About string              // what it does, for --help
	Flags func(*flag.FlagSet) // declares flags beside those of every program; may be nil

	// Check returns what is wrong with a configuration that is valid by itself: with the files
	// that it names, and with the flags. It uses no network.
	Check func(C) error

	// Address returns the address that the program listens on, and answers GET /health at. A
	// program that has it has the flag --healthcheck too.
	Address func(C) string

	// Reserve returns how many bytes the program maps outside Go's heap at most, for which the
	// memory of its cgroup has to do as well. Nil: none.
	Reserve func(C) int64

	// Run does the work until ctx ends.
	Run func(ctx context.Context, cfg C, log *slog.Logger) error
}

// Execute runs the program as the process and returns the exit code.
func (p Program[C]) Execute(ctx context.Context, process Process) int {
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	flags.SetOutput(process.Stderr)
	flags.Usage = func() {
		fmt.Fprintf(process.Stderr, "%s\nConfigured by environment variables: see .env.example.\n\n", p.About)
		flags.PrintDefaults()
	}
	check := flags.Bool("check-config", false, "check the configuration, say what is wrong with it, and exit")
	version := flags.Bool("version", false, "print the version and exit")
	ask := false
	if p.Address != nil {
		flags.BoolVar(&ask, "healthcheck", false, "ask the program that runs with this configuration whether it is alive, and exit")
	}
	if p.Flags != nil {
		p.Flags(flags)
	}
	switch err := flags.Parse(process.Args); {
	case errors.Is(err, flag.ErrHelp):
		return ExitOK
	case err != nil:
		return ExitUsage // the flag package has said why
	case flags.NArg() > 0:
		fmt.Fprintf(process.Stderr, "unexpected argument %q: see --help\n", flags.Arg(0))
		return ExitUsage
	}
	if *version {
		fmt.Fprintln(process.Stdout, telemetry.Version())
		return ExitOK
	}

	var cfg struct {
		Telemetry telemetry.Config
		Program   C
	}
	warnings, err := config.Load(&cfg, process.Environ)
	if err == nil || *check { // a default stands where a value could not be read: the rest can be checked
		err = errors.Join(err, p.Check(cfg.Program))
	}
	if *check {
		for _, warning := range warnings {
			err = errors.Join(err, errors.New(warning))
		}
	}
	if err != nil {
		fmt.Fprintf(process.Stderr, "the configuration is wrong: %v\n", err)
		return ExitUsage
	}
	if *check {
		fmt.Fprintln(process.Stdout, "the configuration is valid")
		return ExitOK
	}

	if ask {
		if err := healthcheck(ctx, p.Address(cfg.Program)); err != nil {
			fmt.Fprintln(process.Stderr, err)
			return ExitError
		}
		return ExitOK
	}

	log := telemetry.NewLogger(process.Stderr, cfg.Telemetry, p.Name)
	for _, warning := range warnings {
		log.Warn(warning)
	}
	reserve := int64(0)
	if p.Reserve != nil {
		reserve = p.Reserve(cfg.Program)
	}
	limitMemoryOf(reserve, log)
	if err := p.Run(ctx, cfg.Program, log); err != nil {
		log.Error("the program failed", "error", err)
		return ExitError
	}
	return ExitOK
}
