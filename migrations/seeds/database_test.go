package seeds

import (
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/pharmavida/ingesta/migrations"
	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// database is a migrated database of the test's own.
type database struct {
	*sql.DB
	cfg migrations.Config
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	d := &database{}
	stacktest.Load(t, &d.cfg, migrationstest.Database(t)...)
	migrator, err := migrations.Open(t.Context(), d.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("opening the migrator: %v", err)
	}
	defer migrator.Close()
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatalf("creating the schema: %v", err)
	}
	d.DB = d.connect(t)
	return d
}

// connect opens another pool of connections to the database.
func (d *database) connect(t *testing.T) *sql.DB {
	t.Helper()
	db, err := d.cfg.Open()
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// admin returns a connection that may do what Flowlite's own may not.
func (d *database) admin(t *testing.T) *sql.DB {
	t.Helper()
	return migrationstest.Admin(t, d.cfg.Database)
}

// seed is Apply, with hashes that take no time, and wants no error.
func (d *database) seed(t *testing.T, opts Options) Summary {
	t.Helper()
	summary, err := seed(t.Context(), d.DB, opts, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

// dump returns all rows of all tables, one in a line, sorted.
func (d *database) dump(t *testing.T) string {
	t.Helper()
	return d.dumpOf(t, func(_, value string) string { return value })
}

// dumpWithoutHashes is a dump in which every password is the same.
func (d *database) dumpWithoutHashes(t *testing.T) string {
	t.Helper()
	return d.dumpOf(t, func(column, value string) string {
		if column == "password" {
			return "?"
		}
		return value
	})
}

func (d *database) dumpOf(t *testing.T, shown func(column, value string) string) string {
	t.Helper()
	var lines []string
	for _, table := range tables {
		rows, err := d.QueryContext(t.Context(), "SELECT * FROM `"+table+"` ORDER BY 1")
		if err != nil {
			t.Fatalf("reading %s: %v", table, err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatalf("reading %s: %v", table, err)
		}
		for rows.Next() {
			values := make([]sql.NullString, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatalf("reading %s: %v", table, err)
			}
			line := table
			for i, v := range values {
				line += fmt.Sprintf(" %s=%s", columns[i], shown(columns[i], v.String))
			}
			lines = append(lines, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("reading %s: %v", table, err)
		}
	}
	return strings.Join(lines, "\n")
}

// same fails the test with the lines in which two dumps differ.
func same(t *testing.T, what, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	diff := func(a, b string) (only []string) {
		there := map[string]bool{}
		for line := range strings.SplitSeq(b, "\n") {
			there[line] = true
		}
		for line := range strings.SplitSeq(a, "\n") {
			if !there[line] {
				only = append(only, line)
			}
		}
		return only
	}
	t.Errorf("%s: the tables are not as before; gone:\n%s\nnew:\n%s", what,
		strings.Join(diff(before, after), "\n"), strings.Join(diff(after, before), "\n"))
}
