package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pharmavida/ingesta/deploy/local/internal/envfile"
	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// sources are the servers that get demo data.
var sources = []string{"mongodb", "mariadb", "postgresql"}

// load fills a source with demo data, under the administrator's account. Without its program it does nothing:
// why that was not built is told by whoever compiled.
func (s *Stack) load(ctx context.Context, w wiring, name, database string, b builds) error {
	if !b.helpers.wait() {
		return nil
	}
	task := s.console.Begin(name, "loading demo data")
	defer task.Drop()
	said, err := process.Command{
		Path: filepath.Join(s.layout.Bin, "demodata"),
		Args: []string{"-only", database},
		Env:  w.loaderEnvironment(s.getenv),
		Dir:  s.layout.Root,
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("loading demo data into %s: %w", name, err)
	}
	if _, made, _ := strings.Cut(strings.TrimSpace(said), ": "); made != "unchanged" {
		task.Done("demo data loaded: %s", made)
	}
	return nil
}

// loaderEnvironment is how the loader reaches the sources with an account that may make tables, and how much
// it is to make.
func (w wiring) loaderEnvironment(getenv func(string) string) []string {
	return append(envfile.Pairs(w.environment()), // of two values for a variable the latter counts
		"POSTGRES_USER="+w.postgres.AdminUser, "POSTGRES_PASSWORD="+w.postgres.AdminPassword,
		"SOURCE_MYSQL_USER="+w.mariadb.AdminUser, "SOURCE_MYSQL_PASSWORD="+w.mariadb.AdminPassword,
		"DEMO_ROWS="+getenv("DEMO_ROWS"), "DEMO_DOCUMENTS="+getenv("DEMO_DOCUMENTS"),
		"LOG_FORMAT=text",
	)
}

// migrate has Flowlite's database, the broker and Redis prepared for the product, which is told of the same
// settings. Without its program it does nothing, as load.
func (s *Stack) migrate(ctx context.Context, w wiring, b builds) error {
	if !b.helpers.wait() {
		return nil
	}
	task := s.console.Begin("flowlite", "preparing database, broker and Redis")
	defer task.Drop()
	said, err := process.Command{
		Path: filepath.Join(s.layout.Bin, "migrate"),
		Args: []string{"--env-file=", "init"}, // its whole environment is given
		Env:  append(w.productEnvironment(), "LOG_FORMAT=text"),
		Dir:  s.layout.Root,
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("preparing Flowlite's database, the broker and Redis: %w", err)
	}
	task.Done("%s; broker and Redis prepared", schemaOf(said))
	return nil
}

// schemaOf picks from what migrate said the version of the schema.
func schemaOf(said string) string {
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(line, "schema "); ok {
			version, _, _ := strings.Cut(strings.TrimSpace(text), ",")
			return "schema at " + version
		}
	}
	return "schema prepared"
}
