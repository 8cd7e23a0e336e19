package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// fetchProduct downloads the product's modules, so that the network is busy while the tools compile.
func (s *Stack) fetchProduct(ctx context.Context) error {
	task := s.console.Begin("product", "downloading modules")
	defer task.Drop()
	args := []string{"list", "-deps"}
	for _, p := range programs() {
		args = append(args, p.source)
	}
	if err := s.runGo(ctx, s.layout.Root, args...); err != nil {
		return fmt.Errorf("downloading the product's modules: %w", err)
	}
	return nil
}

// buildProduct builds the gateway and the workers into bin/.
func (s *Stack) buildProduct(ctx context.Context) error {
	task := s.console.Begin("product", "building from source")
	defer task.Drop()
	for _, p := range programs() {
		err := s.runGo(ctx, s.layout.Root, "build", "-ldflags=-s -w", "-o", filepath.Join(s.layout.Bin, p.name), p.source)
		if err != nil {
			return fmt.Errorf("building %s: %w", p.name, err)
		}
	}
	task.Done("built")
	return nil
}

// buildTools builds the stack's own servers. One go build for all compiles what they share once.
func (s *Stack) buildTools(ctx context.Context) error {
	task := s.console.Begin("tools", "building ferretdb and versitygw, which takes minutes the first time")
	defer task.Drop()
	err := s.runGo(ctx, filepath.Join(s.layout.Root, "deploy", "local"), "build", "-ldflags=-s -w",
		"-buildvcs=false",
		"-tags=ferretdb_no_postgresql", // FerretDB's own: the handler that is not used here
		"-o", s.layout.Tools+string(filepath.Separator), "./cmd/ferretdb", "./cmd/versitygw", "./cmd/mongodata")
	if err != nil {
		return fmt.Errorf("building the local servers: %w", err)
	}
	task.Done("built")
	return nil
}

// runGo runs the go command in a module. Without cgo a bare machine needs no C compiler, and all builds
// share what they compile.
func (s *Stack) runGo(ctx context.Context, module string, args ...string) error {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("finding the Go toolchain: %w", err)
	}
	_, err = process.Command{
		Path: goTool, Args: args, Env: append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"), Dir: module,
	}.Run(ctx)
	return err
}

// tool is a helper among the stack's own binaries.
func (s *Stack) tool(name string, environment []string, args ...string) process.Command {
	return process.Command{Path: filepath.Join(s.layout.Tools, name), Args: args, Env: environment, Dir: s.layout.Data}
}
