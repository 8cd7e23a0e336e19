// Command stack runs the local stack: the servers, the demo data and the product, without Docker. The
// Makefile at the root calls it.
//
//	stack [-root FOLDER] up | down | status | clean
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
	"github.com/pharmavida/ingesta/deploy/local/internal/packages"
	"github.com/pharmavida/ingesta/deploy/local/internal/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root := flag.String("root", ".", "the clone")
	flag.Parse()
	if flag.Arg(0) == stack.InstallCommand {
		return packages.Install(ctx, flag.Args()[1:], os.Stdout)
	}
	if flag.NArg() != 1 {
		return errors.New("one command is wanted: up, down, status or clean")
	}
	layout, err := stack.NewLayout(*root, os.Getenv)
	if err != nil {
		return err
	}
	con := console.New(os.Stdout)
	defer con.Close()
	switch command := flag.Arg(0); command {
	case "up":
		return stack.Up(ctx, layout, con, os.Getenv)
	case "down":
		return stack.Down(ctx, layout, con, os.Getenv)
	case "status":
		return stack.Status(layout, os.Stdout)
	case "clean":
		return stack.Clean(ctx, layout, con, os.Getenv)
	default:
		return fmt.Errorf("unknown command %q: up, down, status or clean", command)
	}
}
