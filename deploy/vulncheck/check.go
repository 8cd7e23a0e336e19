package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/vuln/scan"
)

// check looks at every module under the root and reports to the writer. Its error names the modules
// with findings, and those that could not be checked.
func check(ctx context.Context, w io.Writer, root, database string) error {
	if err := reach(ctx, database); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(w, "The database of vulnerabilities %s cannot be reached, so nothing was checked: %v\n", database, err)
		return nil
	}
	dirs, err := modules(root)
	if err != nil {
		return fmt.Errorf("finding the modules: %w", err)
	}
	var problems []error
	for _, dir := range dirs {
		fmt.Fprintf(w, "── %s\n", dir)
		if err := checkModule(ctx, w, filepath.Join(root, dir), database); err != nil {
			problems = append(problems, fmt.Errorf("module %s: %w", dir, err))
		}
	}
	return errors.Join(problems...)
}

// checkModule checks one module: its own packages with their tests, and the tools that its go.mod
// names. Its report stands in the writer; the error says that code calls something vulnerable, or
// why the module could not be checked.
func checkModule(ctx context.Context, w io.Writer, dir, database string) error {
	own, err := hasPackages(ctx, dir)
	if err != nil {
		return err
	}
	tools, err := tools(dir)
	if err != nil {
		return err
	}
	var problems []error
	if own {
		problems = append(problems, govulncheck(ctx, w, "-C", dir, "-db", database, "-test", "-tags", "faults,soak", "./..."))
	}
	if len(tools) > 0 {
		problems = append(problems, govulncheck(ctx, w, append([]string{"-C", dir, "-db", database}, tools...)...))
	}
	return errors.Join(problems...)
}

func govulncheck(ctx context.Context, w io.Writer, args ...string) error {
	cmd := scan.Command(ctx, args...)
	cmd.Env = environ()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(""), w, w
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Wait()
}

// environ is that of every go command: each module is looked at for itself.
func environ() []string { return append(os.Environ(), "GOWORK=off") }
