package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the benchmark, or one of the references that it starts as a process of its own.
func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		settings, err := loadSettings(os.Environ())
		if err != nil {
			return err
		}
		return measureAll(ctx, settings, os.Stdout)
	case args[0] == driverReference:
		return runDriverReference(ctx, args[1:], os.Stdout)
	default:
		return errors.New("it takes no arguments; its settings are variables, see deploy/bench/README.md")
	}
}
