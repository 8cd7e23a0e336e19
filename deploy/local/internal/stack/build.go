package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// built is a compilation that others wait for.
type built struct {
	over chan struct{}
	ok   bool // set before over is closed
}

func newBuilt() *built { return &built{over: make(chan struct{})} }

// end says that the compilation is over, well or not.
func (b *built) end(err error) error {
	b.ok = err == nil
	close(b.over)
	return err
}

// wait waits until the compilation is over and reports whether it went well. Why it did not is told by
// whoever compiled.
func (b *built) wait() bool {
	<-b.over
	return b.ok
}

// builds are the compilations of one up, in their order: two at once would do much of the work twice.
type builds struct {
	tools   *built // ferretdb and versitygw
	helpers *built // what prepares the servers: demodata and migrate
}

// helpers are the product's main packages that prepare the servers and end. Their programs are named
// after their folders.
func helpers() []string { return []string{"./deploy/demodata", "./migrations/cmd/migrate"} }

// operator is the main package of the operator's program, which nothing here runs.
const operator = "./gateway/cmd/ingesta"

// build compiles what is wanted. While the tools compile, the network fetches the product's modules.
func (s *Stack) build(ctx context.Context, wanted Wanted, b builds) error {
	release, err := s.lockPrograms(ctx)
	if err != nil {
		_ = b.tools.end(err)
		return b.helpers.end(err)
	}
	defer release()

	tools := func() error {
		if !wanted.any("mongodb", "s3") {
			return b.tools.end(nil)
		}
		return b.tools.end(s.buildTools(ctx))
	}
	return together(
		tools,
		func() error {
			if !wanted.any(sources...) && !wanted.prepared() && !wanted.Product {
				return b.helpers.end(nil)
			}
			fetched := s.fetchProduct(ctx, wanted)
			<-b.tools.over
			if fetched != nil {
				return b.helpers.end(fetched)
			}
			if err := b.helpers.end(s.buildHelpers(ctx)); err != nil || !wanted.Product {
				return err
			}
			return s.buildProduct(ctx)
		},
	)
}

// lockPrograms keeps other stacks of the clone from compiling into bin/ at the same time.
func (s *Stack) lockPrograms(ctx context.Context) (release func(), err error) {
	if err := os.MkdirAll(s.layout.Bin, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the programs: %w", err)
	}
	return lockFolder(ctx, s.console, s.layout.Bin, "compiling")
}

// fetchProduct downloads the modules of what will be compiled.
func (s *Stack) fetchProduct(ctx context.Context, wanted Wanted) error {
	task := s.console.Begin("product", "downloading modules")
	defer task.Drop()
	args := append([]string{"list", "-deps"}, helpers()...)
	if wanted.Product {
		args = append(args, operator)
		for _, p := range programs() {
			args = append(args, p.source)
		}
	}
	if err := s.runGo(ctx, s.layout.Root, args...); err != nil {
		return fmt.Errorf("downloading the product's modules: %w", err)
	}
	return nil
}

// buildHelpers builds what prepares the servers into bin/.
func (s *Stack) buildHelpers(ctx context.Context) error {
	task := s.console.Begin("product", "building what prepares the servers")
	defer task.Drop()
	args := append([]string{"build", "-ldflags=-s -w", "-o", s.layout.Bin + string(filepath.Separator)}, helpers()...)
	if err := s.runGo(ctx, s.layout.Root, args...); err != nil {
		return fmt.Errorf("building what prepares the servers: %w", err)
	}
	return nil
}

// buildProduct builds the gateway, the workers and the operator's program into bin/.
func (s *Stack) buildProduct(ctx context.Context) error {
	task := s.console.Begin("product", "building from source")
	defer task.Drop()
	for _, p := range programs() {
		err := s.runGo(ctx, s.layout.Root, "build", "-ldflags=-s -w", "-o", filepath.Join(s.layout.Bin, p.name), p.source)
		if err != nil {
			return fmt.Errorf("building %s: %w", p.name, err)
		}
	}
	if err := s.runGo(ctx, s.layout.Root, "build", "-ldflags=-s -w", "-o", s.layout.Bin+string(filepath.Separator), operator); err != nil {
		return fmt.Errorf("building the operator's program: %w", err)
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
		"-o", s.layout.Tools+string(filepath.Separator), "./cmd/ferretdb", "./cmd/versitygw")
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
