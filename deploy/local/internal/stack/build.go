package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// buildTools builds the stack's own servers. One go build for all of them compiles what they share once.
func (s *Stack) buildTools(ctx context.Context) error {
	return s.build(ctx, "tools", "ferretdb, versitygw (from cold about 4 minutes)", filepath.Join(s.layout.Root, "deploy", "local"), s.layout.Tools,
		// FerretDB's own build tag: the handler that is not used here.
		[]string{"-buildvcs=false", "-tags=ferretdb_no_postgresql"}, "./cmd/ferretdb", "./cmd/versitygw", "./cmd/mongodata")
}

// buildProduct builds the gateway and the workers into bin/.
func (s *Stack) buildProduct(ctx context.Context) error {
	for _, p := range programs() {
		if !exists(filepath.Join(s.layout.Root, p.source, "main.go")) {
			continue
		}
		err := s.build(ctx, p.name, "from source", s.layout.Root, filepath.Join(s.layout.Bin, p.name), nil, p.source)
		if err != nil {
			return err
		}
	}
	return nil
}

// build runs go build in a module. The destination is a folder for several packages, a file for one.
func (s *Stack) build(ctx context.Context, subject, what, module, destination string, flags []string, packages ...string) error {
	folder := destination
	if len(packages) == 1 {
		folder = filepath.Dir(destination)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder for binaries: %w", err)
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("finding the Go toolchain: %w", err)
	}
	args := append([]string{"build", "-ldflags=-s -w"}, flags...)
	args = append(args, "-o", destination)
	if len(packages) > 1 {
		args[len(args)-1] += string(filepath.Separator) // go build takes it for a folder
	}
	task := s.console.Begin(subject, "building "+what)
	defer task.Drop()
	_, err = process.Command{
		Path: goTool, Args: append(args, packages...),
		Env: append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"), Dir: module,
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("building %s: %w", strings.Join(packages, " "), err)
	}
	task.Done("built")
	return nil
}

// tool is a helper among the stack's own binaries.
func (s *Stack) tool(name string, environment []string, args ...string) process.Command {
	return process.Command{Path: filepath.Join(s.layout.Tools, name), Args: args, Env: environment, Dir: s.layout.Data}
}
