package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/pharmavida/ingesta/deploy/bench/replay"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// bench is a run of the benchmark: what it measures, and what it measures it on.
type bench struct {
	settings settings
	data     datasets
	out      io.Writer
	began    time.Time

	stack   *stack
	machine machine
	lake    *lake
	replay  *replay.Server // of the documents, where they are needed
	gateway gateway
	workers map[ingest.Database]*program

	acceptance *acceptance // where it is measured

	closers []func() error // of what was started, in this order
}

// measureAll runs the benchmark and writes and prints its report.
func measureAll(ctx context.Context, s settings, out io.Writer) (err error) {
	root, err := repository()
	if err != nil {
		return err
	}
	b := &bench{
		settings: s, data: newDatasets(s.Scale), out: out, began: time.Now(),
		stack: newStack(root, out), workers: map[ingest.Database]*program{},
	}
	chosen, needed, err := choose(s.Cases, subjects(b.data))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.prepare(ctx, needed); err != nil {
		return err
	}
	measured, err := b.rounds(ctx, needed)
	if err != nil {
		return err
	}
	report := newReport(b, chosen, needed, measured)
	if err := report.print(out); err != nil {
		return err
	}
	path := filepath.Join(root, ".local", "bench.json")
	if err := report.write(path); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nwritten to", path)
	return nil
}

// prepare brings up and loads everything that the subjects need.
func (b *bench) prepare(ctx context.Context, needed []subject) error {
	if !b.settings.Keep {
		b.closers = append(b.closers, func() error { return b.stack.down(ctx) })
	}
	if err := b.stack.up(ctx); err != nil {
		return err
	}
	b.lake = newLake(b.stack.env)
	b.machine = thisMachine()
	b.machine.VersityGW = moduleVersion(filepath.Join(b.stack.root, "bin", "local", "versitygw"), "github.com/versity/versitygw")
	var packages []string
	var data []dataset
	var databases []ingest.Database
	for _, s := range needed {
		packages = append(packages, s.packages...)
		for _, d := range s.data {
			if !slices.ContainsFunc(data, func(o dataset) bool { return o.Name == d.Name }) {
				data = append(data, d)
			}
		}
		for _, database := range s.works {
			if !slices.Contains(databases, database) {
				databases = append(databases, database)
			}
		}
	}
	if err := b.stack.install(ctx, packages); err != nil {
		return err
	}
	for _, d := range data {
		if err := b.fill(ctx, d); err != nil {
			return err
		}
	}
	if err := b.lake.clear(ctx); err != nil { // of a run that was cut short
		return err
	}
	if err := b.startProduct(ctx, databases); err != nil {
		return err
	}
	for _, s := range needed {
		if s.prepare == nil {
			continue
		}
		if err := s.prepare(ctx, b); err != nil {
			return fmt.Errorf("preparing %s: %w", s.name, err)
		}
	}
	return nil
}

// startProduct builds the gateway and the workers from the present sources and starts those that are
// needed, with the default configuration but for the catalog.
func (b *bench) startProduct(ctx context.Context, databases []ingest.Database) error {
	b.say("building", "the gateway and the workers")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.binary("")+"/", "./gateway/cmd/gateway",
		"./workers/cmd/mongodb", "./workers/cmd/mysql", "./workers/cmd/postgresql")
	build.Dir, build.Env, build.Stdout, build.Stderr = b.stack.root, append(os.Environ(), "CGO_ENABLED=0"), b.out, b.out
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the product: %w", err)
	}
	if err := os.WriteFile(b.stack.local("catalog.yaml"), []byte(b.data.catalog()), 0o644); err != nil {
		return fmt.Errorf("writing the catalog: %w", err)
	}
	g, err := b.start(ctx, "gateway", "gateway", "GATEWAY_PORT", "GATEWAY_HOST=127.0.0.1")
	if err != nil {
		return err
	}
	b.gateway = gateway{url: g.url, http: &http.Client{}}
	for _, database := range databases {
		b.workers[database], err = b.start(ctx, "worker-"+string(database), string(database), "WORKER_PORT", append(b.sourceOf(database), "WORKER_HOST=127.0.0.1")...)
		if err != nil {
			return err
		}
	}
	return nil
}

// start starts a program of the product, which runs until the benchmark ends.
func (b *bench) start(ctx context.Context, name, binary, portVariable string, environ ...string) (*program, error) {
	p, err := b.stack.start(ctx, name, b.binary(binary), portVariable, append(environ, "CATALOG_FILE="+b.stack.local("catalog.yaml"))...)
	if err == nil {
		b.closers = append(b.closers, p.stop)
	}
	return p, err
}

func (b *bench) binary(name string) string { return b.stack.local(filepath.Join("bin", name)) }

// rounds measures every subject once in every round, after a round that warms up and is forgotten.
func (b *bench) rounds(ctx context.Context, needed []subject) (map[string][]measurement, error) {
	measured := map[string][]measurement{}
	for round := range b.settings.Rounds + 1 {
		title := fmt.Sprintf("round %d/%d", round, b.settings.Rounds)
		if round == 0 {
			title = "warming up"
		}
		for _, s := range order(needed, round) {
			if round == 0 && s.cold {
				continue
			}
			m, err := s.measure(ctx, b)
			if ctx.Err() != nil {
				err = context.Cause(ctx) // whatever it did to the subject
			}
			if err != nil {
				return nil, fmt.Errorf("measuring %s: %w", s.name, err)
			}
			b.say(title, "%-20s %s", s.name, m)
			if round > 0 {
				measured[s.name] = append(measured[s.name], m)
			}
		}
	}
	return measured, nil
}

// order returns the subjects in the order of a round. Each begins with another one, and every other one
// goes backwards: none always comes after the same one's dust.
func order(subjects []subject, round int) []subject {
	from := round % len(subjects)
	turned := slices.Concat(subjects[from:], subjects[:from])
	if round%2 == 1 {
		slices.Reverse(turned)
	}
	return turned
}

// close ends what was started, the latest first.
func (b *bench) close() error {
	var problems []error
	for _, end := range slices.Backward(b.closers) {
		problems = append(problems, end())
	}
	return errors.Join(problems...)
}

// say tells of the progress.
func (b *bench) say(title, format string, args ...any) {
	fmt.Fprintf(b.out, "%6.0fs  %-12s  %s\n", time.Since(b.began).Seconds(), title, fmt.Sprintf(format, args...))
}

// repository returns the folder of the repository, at or above the present one.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the repository: run make bench at its top")
		}
		dir = parent
	}
}
