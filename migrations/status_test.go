package migrations

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
)

// Telling where a database stands makes nothing in it, whatever it is.
func TestReadingChangesNothing(t *testing.T) {
	t.Parallel()
	for name, statements := range map[string]string{
		"empty": "DO 0", "of Alembic": alembic, "half-made": alembic + "DROP TABLE `Insights`",
		"made by golang-migrate": "CREATE TABLE schema_migrations (version bigint not null primary key, dirty boolean not null)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			migrationstest.Exec(t, p.admin, statements)
			before := p.schema(t)
			m := p.migrator(t)
			if _, err := m.Status(t.Context()); err != nil {
				t.Errorf("status: %v", err)
			}
			if _, err := m.History(t.Context()); err != nil {
				t.Errorf("history: %v", err)
			}
			if _, err := m.Verify(t.Context()); err != nil {
				t.Errorf("verify: %v", err)
			}
			if _, err := m.RowCounts(t.Context()); err != nil {
				t.Errorf("row counts: %v", err)
			}
			same(t, "the schema", p.schema(t), before)
		})
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	status, err := m.Status(t.Context())
	if err != nil || status.State != StateEmpty || status.Version != 0 || status.Pending != 2 || status.Latest != 2 || status.Refusal != nil {
		t.Errorf("got %+v, %v, want an empty database with 2 pending", status, err)
	}
	if status.Database != p.cfg.Database || status.Address != p.cfg.String() || status.ServerVersion == "" {
		t.Errorf("got %+v, want the names of database and server", status)
	}
	if strings.Contains(fmt.Sprintf("%+v", status), p.cfg.Password.Reveal()) {
		t.Errorf("the password is in %+v", status)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, err = m.Status(t.Context())
	if err != nil || status.State != StateManaged || status.Version != 2 || status.Name != "lookup_indexes" || status.Pending != 0 || status.Adopted || status.Busy {
		t.Errorf("got %+v, %v, want version 2 and nothing pending", status, err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	problems, err := m.Verify(t.Context())
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0], "migrate up") {
		t.Errorf("empty: got %q, %v, want to hear of `migrate up`", problems, err)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	migrationstest.Exec(t, p.admin, "ALTER TABLE `Bank` ADD swift VARCHAR(11); CREATE TABLE budgets (id INT); ALTER TABLE `User` MODIFY username VARCHAR(100) NULL")
	if problems, err := m.Verify(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("more than is needed: got %q, %v, want no problem", problems, err)
	}
	migrationstest.Exec(t, p.admin, "ALTER TABLE `Bank` DROP bank_name; DROP TABLE `UserInfo`; ALTER TABLE `User` MODIFY active BIGINT; DELETE FROM alembic_version")
	want := []string{
		"column User.active is bigint, and is to be tinyint(1)",
		"table UserInfo is missing",
		"column Bank.bank_name is missing: it is to be varchar(255)",
		"table alembic_version is empty: it is to hold 001",
	}
	if problems, err := m.Verify(t.Context()); err != nil || !slices.Equal(problems, want) {
		t.Errorf("got  %q, %v\nwant %q", problems, err, want)
	}
}

// Whoever looks while a migrator comes, works and goes is not alarmed by what is only half-way.
func TestStatusWhileAnotherWorks(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	worker, watcher := p.migrator(t), p.migrator(t)
	done := make(chan error, 1)
	go func() {
		for range 6 {
			if _, err := worker.Up(t.Context()); err != nil {
				done <- err
				return
			}
			if _, err := worker.DownAll(t.Context()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for looks := 0; ; looks++ {
		select {
		case err := <-done:
			if err != nil || looks < 10 {
				t.Errorf("the other migrator: %v, want success and some looks meanwhile, not %d", err, looks)
			}
			return
		default:
		}
		status, err := watcher.Status(t.Context())
		if err != nil || status.Refusal != nil && !status.Busy {
			t.Errorf("look %d: got %+v, %v, want nothing wrong", looks, status, err)
		}
	}
}

// A database of the migrator's own is held to its tables' kind as well.
func TestVerifyEngine(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	migrationstest.Exec(t, p.admin, "RENAME TABLE `Role` TO roles; CREATE VIEW `Role` AS SELECT * FROM roles; ALTER TABLE `UserInfo` DROP FOREIGN KEY "+
		p.rows(t, "SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() AND TABLE_NAME = 'UserInfo'")[0]["CONSTRAINT_NAME"]+
		"; ALTER TABLE `UserInfo` ENGINE = MyISAM")
	want := []string{
		"table Role is a view, and is to be a table",
		"table UserInfo is stored by the engine MyISAM, and is to be by InnoDB: others have no transactions and no foreign keys",
	}
	if problems, err := m.Verify(t.Context()); err != nil || !slices.Equal(problems, want) {
		t.Errorf("got  %q, %v\nwant %q", problems, err, want)
	}
	if steps, err := m.Down(t.Context(), 2); !errors.As(err, new(*MismatchError)) || len(steps) > 0 {
		t.Errorf("got %q, %v, want it refused", spelled(steps), err)
	}
}

// What Verify expects is all that the migrations make, at each version.
func TestExpectedIsWhatMigrationsMake(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	for version := uint(0); version <= uint(len(m.known)); version++ {
		if _, err := m.Goto(t.Context(), version); err != nil {
			t.Fatal(err)
		}
		made := map[string]string{}
		for _, row := range p.rows(t, "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()") {
			if !slices.Contains(bookkeeping, row["TABLE_NAME"]) {
				made[row["TABLE_NAME"]+"."+row["COLUMN_NAME"]] = normal(row["COLUMN_TYPE"])
			}
		}
		want := map[string]string{}
		for _, table := range expected(version) {
			for _, column := range table.columns {
				want[table.name+"."+column.name] = column.kind
			}
		}
		if !maps.Equal(made, want) {
			t.Errorf("at version %d the migrations make\n%v\nand schema.go expects\n%v", version, made, want)
		}
	}
}

func TestRowCounts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if counts, err := m.RowCounts(t.Context()); err != nil || len(counts) > 0 {
		t.Errorf("got %v, %v, want no table of an empty database", counts, err)
	}
	migrationstest.Exec(t, p.admin, alembic+rowsOfServices)
	counts, err := m.RowCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []TableRows{
		{"User", 2}, {"Role", 0}, {"UserInfo", 1}, {"Bank", 1}, {"TransactionCategory", 0}, {"TransactionBatch", 0},
		{"Transaction", 1}, {"InsightCategory", 0}, {"Insights", 1},
	}
	if !slices.Equal(counts, want) {
		t.Errorf("got  %v\nwant %v", counts, want)
	}
}

// The same type has several spellings on MySQL and MariaDB.
func TestNormal(t *testing.T) {
	for kind, want := range map[string]string{
		"int(11)": "int", "int": "int", "INT(10) UNSIGNED": "int unsigned", "bigint(20)": "bigint", "bigint": "bigint",
		"tinyint(1)": "tinyint(1)", "tinyint(4)": "tinyint", "tinyint": "tinyint", "decimal(15,2)": "decimal(15,2)", "varchar(255)": "varchar(255)",
		"char(36)": "char(36)", "datetime": "datetime", "datetime(6)": "datetime(6)", "text": "text",
	} {
		if got := normal(kind); got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
}

// A server that keeps names of tables in lower case has them all nevertheless.
func TestFoldedNames(t *testing.T) {
	found := survey{foldNames: true, tables: map[string]map[string]string{}}
	for _, table := range expected(1) {
		columns := map[string]string{}
		for _, column := range table.columns {
			columns[strings.ToLower(column.name)] = column.kind
		}
		found.tables[strings.ToLower(table.name)] = columns
	}
	if problems := compare(expected(1), found); len(problems) > 0 {
		t.Errorf("got the problems %q, want none", problems)
	}
	found.foldNames = false
	if problems := compare(schema[:1], found); len(problems) != 1 || !strings.Contains(problems[0], "there is user") {
		t.Errorf("got the problems %q, want to hear of the other case on a server that minds it", problems)
	}
}
