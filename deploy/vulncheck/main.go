// Command vulncheck looks for known vulnerabilities in all Go modules of the repository, tests and
// their tools included: govulncheck, once per module.
//
// It ends with 0 when the code calls nothing that is known to be vulnerable, and also when the
// database of vulnerabilities cannot be reached: it says so then, and that nothing was checked. It
// ends with 1 on findings that the code calls, and when a module cannot be checked.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root := flag.String("root", ".", "folder of the repository")
	database := flag.String("db", defaultDatabase(os.Getenv("GOVULNDB")), "address of the database of vulnerabilities")
	flag.Parse()
	return check(ctx, os.Stdout, *root, *database)
}
