// Command stack runs the local stack: the servers, the demo data and the product, without Docker. The
// Makefile at the root calls it.
//
//	stack [-root FOLDER] [-name NAME] up [-servers | -only SERVER,…]
//	stack [-root FOLDER] [-name NAME] start SERVER… | stop SERVER… | kill SERVER…
//	stack [-root FOLDER] [-name NAME] status
//	stack [-root FOLDER] [-name NAME | -all] down | clean
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
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

const commands = "up, down, status, clean, start, stop or kill"

// options are what stands on the command line; those of one command may stand before it too.
type options struct {
	root, name    string
	servers, all  bool
	only, command string
	operands      []string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("stack", flag.ContinueOnError)
	flags.StringVar(&o.root, "root", ".", "the clone")
	flags.StringVar(&o.name, "name", "", "one of several independent stacks of the clone (default: its own)")
	flags.BoolVar(&o.servers, "servers", false, "up: servers and demo data, neither gateway nor workers")
	flags.StringVar(&o.only, "only", "", "up: these `servers` alone, separated by commas, with their demo data")
	flags.BoolVar(&o.all, "all", false, "down, clean: all stacks of the clone")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() == 0 {
		return options{}, errors.New("a command is wanted: " + commands)
	}
	o.command = flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return options{}, err
	}
	o.operands = flags.Args()
	return o, o.check()
}

// check refuses what does not belong to the command.
func (o options) check() error {
	single := o.command == "start" || o.command == "stop" || o.command == "kill"
	switch {
	case single && len(o.operands) == 0:
		return fmt.Errorf("%s wants the names of servers", o.command)
	case !single && o.command != stack.InstallCommand && len(o.operands) > 0:
		return fmt.Errorf("%s takes no operand, and got %q", o.command, o.operands)
	case o.command != "up" && (o.servers || o.only != ""):
		return errors.New("-servers and -only belong to up")
	case o.servers && o.only != "":
		return errors.New("-servers and -only exclude each other")
	case o.all && o.command != "down" && o.command != "clean":
		return errors.New("-all belongs to down and clean")
	case o.all && o.name != "":
		return errors.New("-all and -name exclude each other")
	}
	return nil
}

// wanted is what up is to bring up.
func (o options) wanted() (stack.Wanted, error) {
	switch {
	case o.only != "":
		return stack.Only(o.only)
	case o.servers:
		return stack.Wanted{Servers: stack.Servers()}, nil
	default:
		return stack.Everything(), nil
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.command == stack.InstallCommand {
		return packages.Install(ctx, o.operands, os.Stdout)
	}
	layout, err := stack.NewLayout(o.root, o.name, os.Getenv)
	if err != nil {
		return err
	}
	con := console.New(os.Stdout)
	defer con.Close()
	switch o.command {
	case "up":
		wanted, err := o.wanted()
		if err != nil {
			return err
		}
		return stack.Up(ctx, layout, con, os.Getenv, wanted)
	case "start":
		return stack.Start(ctx, layout, con, os.Getenv, o.operands)
	case "stop":
		return stack.Stop(ctx, layout, con, os.Getenv, o.operands)
	case "kill":
		return stack.Kill(ctx, layout, con, os.Getenv, o.operands)
	case "status":
		return stack.Status(layout, os.Stdout)
	case "down":
		if o.all {
			return stack.DownAll(ctx, layout, con, os.Getenv)
		}
		return stack.Down(ctx, layout, con, os.Getenv)
	case "clean":
		if o.all {
			return stack.CleanAll(ctx, layout, con, os.Getenv)
		}
		return stack.Clean(ctx, layout, con, os.Getenv)
	default:
		return fmt.Errorf("unknown command %q: %s", o.command, commands)
	}
}
