package migrations

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
)

// alembic is what Alembic's revision 001 sends, as SQLAlchemy spells it: without keys beside the
// foreign keys, engine, or collation.
const alembic = "" +
	"CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n);" +
	"CREATE TABLE `User` (\n\tid_user CHAR(36) NOT NULL, \n\tusername VARCHAR(100) NOT NULL, \n\temail VARCHAR(255) NOT NULL, \n\tpassword VARCHAR(255) NOT NULL, \n\t`role` VARCHAR(50), \n\tactive BOOL, \n\tPRIMARY KEY (id_user), \n\tUNIQUE (email)\n);" +
	"CREATE TABLE `Role` (\n\tid_role CHAR(36) NOT NULL, \n\trole_name VARCHAR(100) NOT NULL, \n\tPRIMARY KEY (id_role)\n);" +
	"CREATE TABLE `Bank` (\n\tid_bank CHAR(36) NOT NULL, \n\tbank_name VARCHAR(255) NOT NULL, \n\tPRIMARY KEY (id_bank)\n);" +
	"CREATE TABLE `TransactionCategory` (\n\tid_category CHAR(36) NOT NULL, \n\tdescription VARCHAR(255), \n\tPRIMARY KEY (id_category)\n);" +
	"CREATE TABLE `TransactionBatch` (\n\tid_batch CHAR(36) NOT NULL, \n\tprocess_status VARCHAR(50), \n\tstart_date DATETIME NOT NULL, \n\tend_date DATETIME, \n\tbatch_size INTEGER, \n\tPRIMARY KEY (id_batch)\n);" +
	"CREATE TABLE `InsightCategory` (\n\tid_category CHAR(36) NOT NULL, \n\tdescription VARCHAR(255), \n\tPRIMARY KEY (id_category)\n);" +
	"CREATE TABLE `UserInfo` (\n\tid_user CHAR(36) NOT NULL, \n\t`primerNombre` VARCHAR(100), \n\t`primerApellido` VARCHAR(100), \n\ttelefono VARCHAR(20), \n\tdireccion VARCHAR(255), \n\t`numeroIdentificacion` VARCHAR(50), \n\tPRIMARY KEY (id_user), \n\tFOREIGN KEY(id_user) REFERENCES `User` (id_user)\n);" +
	"CREATE TABLE `Transaction` (\n\tid_transaction CHAR(36) NOT NULL, \n\tid_user CHAR(36) NOT NULL, \n\tid_category CHAR(36), \n\tid_bank CHAR(36), \n\tid_batch CHAR(36), \n\ttransaction_name VARCHAR(255), \n\tvalue NUMERIC(15, 2), \n\ttransaction_date DATETIME, \n\ttransaction_type VARCHAR(50), \n\tPRIMARY KEY (id_transaction), \n\tFOREIGN KEY(id_user) REFERENCES `User` (id_user), \n\tFOREIGN KEY(id_category) REFERENCES `TransactionCategory` (id_category), \n\tFOREIGN KEY(id_bank) REFERENCES `Bank` (id_bank), \n\tFOREIGN KEY(id_batch) REFERENCES `TransactionBatch` (id_batch)\n);" +
	"CREATE TABLE `Insights` (\n\tid_insight CHAR(36) NOT NULL, \n\tid_user CHAR(36) NOT NULL, \n\tid_category CHAR(36), \n\ttitle VARCHAR(255), \n\ttext TEXT, \n\trelevance INTEGER, \n\tcreated_at DATETIME DEFAULT now(), \n\tPRIMARY KEY (id_insight), \n\tFOREIGN KEY(id_user) REFERENCES `User` (id_user), \n\tFOREIGN KEY(id_category) REFERENCES `InsightCategory` (id_category)\n);" +
	"INSERT INTO alembic_version (version_num) VALUES ('001');"

// rowsOfServices are rows in tables that refer to each other.
const rowsOfServices = "" +
	"INSERT INTO `User` VALUES ('u1', 'juan', 'juan@example.com', 'x', 'USER', 1), ('u2', 'juan', 'otro@example.com', 'x', NULL, NULL);" +
	"INSERT INTO `UserInfo` VALUES ('u1', 'Juan', 'Pérez', NULL, NULL, NULL);" +
	"INSERT INTO `Bank` VALUES ('b1', 'Bancolombia');" +
	"INSERT INTO `Transaction` VALUES ('t1', 'u1', NULL, 'b1', NULL, 'Café', -1234567890123.45, '2024-02-29 23:59:59', NULL);" +
	"INSERT INTO `Insights` VALUES ('i1', 'u1', NULL, 'Ahorro', 'Más', 1, '2024-01-01 00:00:00');"

func TestAdoption(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, alembic+rowsOfServices)
	made, rows := p.schema(t), p.content(t)
	m := p.migrator(t)

	status, err := m.Status(t.Context())
	if err != nil || status.State != StateAlembic || status.Version != 0 || status.Pending != 1 || status.Adopted || status.Refusal != nil {
		t.Errorf("before: got %+v, %v, want a database of Alembic's with one migration pending", status, err)
	}
	if problems, err := m.Verify(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("before: got the problems %q, %v, want none", problems, err)
	}

	if steps, err := m.Goto(t.Context(), 1); err != nil || spelled(steps) != "adopt 1" {
		t.Fatalf("got %q, %v, want adopt 1", spelled(steps), err)
	}
	same(t, "the adopted schema", p.schema(t, bookkeeping...), made)
	same(t, "the adopted content", p.content(t), rows)
	status, err = m.Status(t.Context())
	if err != nil || status.State != StateManaged || status.Version != 1 || !status.Adopted || status.Name != "initial_schema" {
		t.Errorf("after: got %+v, %v, want version 1, adopted", status, err)
	}
	entries, err := m.History(t.Context())
	if err != nil || !entries[0].Applied || !entries[0].Adopted || entries[0].AppliedAt.IsZero() || entries[1].Applied {
		t.Errorf("after: got %+v, %v, want 1 adopted just now and 2 pending", entries, err)
	}

	// The index of migration 2 has the server drop the key that it had made for the foreign key, and
	// must go again nevertheless.
	for range 2 {
		if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 2" {
			t.Fatalf("got %q, %v, want up 2", spelled(steps), err)
		}
		if steps, err := m.Down(t.Context(), 1); err != nil || spelled(steps) != "down 2" {
			t.Fatalf("got %q, %v, want down 2", spelled(steps), err)
		}
		same(t, "the schema after the down of migration 2", p.schema(t, bookkeeping...), made)
	}
	same(t, "the content at the end", p.content(t), rows)

	if _, err := m.DownAll(t.Context()); err != nil {
		t.Errorf("taking all back: %v", err)
	}
	same(t, "the schema after the down of all", p.schema(t, bookkeeping...), newPlaceSchema(t, p))
	if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 1, up 2" {
		t.Errorf("got %q, %v, want up 1, up 2: what was adopted is gone", spelled(steps), err)
	}
	if status, err := m.Status(t.Context()); err != nil || status.Adopted {
		t.Errorf("got %+v, %v, want no adoption told of what is new", status, err)
	}
}

// newPlaceSchema is what information_schema says of an empty database.
func newPlaceSchema(t *testing.T, p place) string {
	t.Helper()
	return p.schema(t, append([]string{"alembic_version"}, append(bookkeeping, tableNames()...)...)...)
}

func tableNames() (names []string) {
	for _, table := range schema {
		names = append(names, table.name)
	}
	return names
}

func TestUpAdoptsAndGoesOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, alembic+rowsOfServices)
	rows := p.content(t)
	m := p.migrator(t)
	if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "adopt 1, up 2" {
		t.Errorf("got %q, %v, want adopt 1, up 2", spelled(steps), err)
	}
	same(t, "the content", p.content(t), rows)
	if problems, err := m.Verify(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("got the problems %q, %v, want none", problems, err)
	}
}

// The migrator dies after it has made golang-migrate's table, before the adoption stands in it.
func TestAdoptionIsRepeated(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	migrationstest.Exec(t, p.admin, alembic+"CREATE TABLE schema_migrations (version bigint not null primary key, dirty boolean not null)")
	if steps, err := p.migrator(t).Up(t.Context()); err != nil || spelled(steps) != "adopt 1, up 2" {
		t.Errorf("got %q, %v, want adopt 1, up 2", spelled(steps), err)
	}
}

// A database of the migrator's own whose version was lost is not taken for Alembic's.
func TestLostVersionIsNotAdopted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	m := p.migrator(t)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	migrationstest.Exec(t, p.admin, "DROP TABLE schema_migrations")
	if _, err := m.Up(t.Context()); !errors.As(err, new(*AdoptionError)) || !strings.Contains(err.Error(), "`migrate force 2`") {
		t.Errorf("got %v, want it refused, with the version that the history tells", err)
	}
	if err := m.Force(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if steps, err := m.Up(t.Context()); err != nil || len(steps) > 0 {
		t.Errorf("got %q, %v, want nothing to do", spelled(steps), err)
	}
}

func TestHalfMadeDatabasesAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, statements string
		want             []string // every problem
	}{
		{"a table is missing", alembic + "DROP TABLE `Insights`", []string{"table Insights is missing"}},
		{"a column is missing", alembic + "ALTER TABLE `Bank` DROP COLUMN bank_name", []string{"column Bank.bank_name is missing: it is to be varchar(255)"}},
		{"other types", alembic + "ALTER TABLE `User` MODIFY active INT; ALTER TABLE `Transaction` MODIFY value DOUBLE",
			[]string{"column User.active is int, and is to be tinyint(1)", "column Transaction.value is double, and is to be decimal(15,2)"}},
		{"no revision table", alembic + "DROP TABLE alembic_version", []string{"table alembic_version is missing"}},
		{"no revision", alembic + "DELETE FROM alembic_version", []string{"table alembic_version is empty: it is to hold 001"}},
		{"another revision", alembic + "UPDATE alembic_version SET version_num = '002'", []string{"table alembic_version holds 002, and is to hold 001"}},
		{"two revisions", alembic + "INSERT INTO alembic_version VALUES ('0a1')", []string{"table alembic_version holds 001, 0a1, and is to hold 001"}},
		{"another revision table", alembic + "ALTER TABLE alembic_version CHANGE version_num number INT", []string{"column alembic_version.version_num is missing: it is to be varchar(32)"}},
		{"a name in another case", alembic + "RENAME TABLE `Role` TO `role`", []string{"table Role is missing: there is role, but this server tells upper from lower case"}},
		{"everything at once", alembic + "DROP TABLE `UserInfo`; ALTER TABLE `Bank` DROP COLUMN bank_name; DELETE FROM alembic_version",
			[]string{"table UserInfo is missing", "column Bank.bank_name is missing: it is to be varchar(255)", "table alembic_version is empty: it is to hold 001"}},
		{"one table alone", "CREATE TABLE `Bank` (id_bank CHAR(36), bank_name VARCHAR(255))", []string{
			"table User is missing", "table Role is missing", "table UserInfo is missing", "table TransactionCategory is missing",
			"table TransactionBatch is missing", "table Transaction is missing", "table InsightCategory is missing", "table Insights is missing",
			"table alembic_version is missing",
		}},
		{"another application's Alembic", "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('8f2c')",
			[]string{"table alembic_version holds 8f2c, and none of the schema's tables is there: it belongs to another application, or Alembic claims what is not there (if so, `DELETE FROM alembic_version`)"}},
		{"a view", alembic + "RENAME TABLE `Role` TO roles; CREATE VIEW `Role` AS SELECT * FROM roles", []string{"table Role is a view, and is to be a table"}},
		{"a view alone", "CREATE TABLE b (id_bank CHAR(36), bank_name VARCHAR(255)); CREATE VIEW `Bank` AS SELECT * FROM b", []string{
			"table User is missing", "table Role is missing", "table UserInfo is missing", "table Bank is a view, and is to be a table",
			"table TransactionCategory is missing", "table TransactionBatch is missing", "table Transaction is missing",
			"table InsightCategory is missing", "table Insights is missing", "table alembic_version is missing",
		}},
		{"another engine", alembic + "CREATE TABLE other LIKE `Insights`; DROP TABLE `Insights`; ALTER TABLE other ENGINE = MyISAM; RENAME TABLE other TO `Insights`",
			[]string{"table Insights is stored by the engine MyISAM, and is to be by InnoDB: others have no transactions and no foreign keys"}},
		{"a revision without tables", "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('001'); CREATE TABLE theirs (id INT)",
			[]string{"table alembic_version holds 001, and none of the schema's tables is there: it belongs to another application, or Alembic claims what is not there (if so, `DELETE FROM alembic_version`)"}},
		{"a table of the name, not Alembic's", "CREATE TABLE alembic_version (id INT)", []string{"column alembic_version.version_num is missing: it is to be varchar(32)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			migrationstest.Exec(t, p.admin, tt.statements)
			before := p.schema(t)
			m := p.migrator(t)
			for name, change := range map[string]func() ([]Step, error){
				"up": func() ([]Step, error) { return m.Up(t.Context()) }, "down": func() ([]Step, error) { return m.Down(t.Context(), 1) },
				"goto": func() ([]Step, error) { return m.Goto(t.Context(), 2) },
			} {
				steps, err := change()
				refused, ok := errors.AsType[*AdoptionError](err)
				if !ok || len(steps) > 0 {
					t.Fatalf("%s: got %q, %v, want it refused", name, spelled(steps), err)
				}
				if !slices.Equal(refused.Problems, tt.want) {
					t.Errorf("%s: got the problems %q\nwant %q", name, refused.Problems, tt.want)
				}
				for _, want := range append(tt.want, "nothing was changed", "alembic upgrade head", "migrate force N", p.cfg.Database) {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: got %v\nwant in it %q", name, err, want)
					}
				}
			}
			same(t, "the refused database", p.schema(t), before)
			status, err := m.Status(t.Context())
			if err != nil || status.State != StateHalfMade || status.Refusal == nil {
				t.Errorf("got %+v, %v, want a half-made database, and why it is refused", status, err)
			}
			if problems, err := m.Verify(t.Context()); err != nil || !slices.Equal(problems, tt.want) {
				t.Errorf("verify: got %q, %v, want the same problems", problems, err)
			}
		})
	}
}

// What Alembic leaves behind after `downgrade base` is no obstacle, and neither are tables of others.
func TestLeftoversOfAlembic(t *testing.T) {
	t.Parallel()
	for name, statements := range map[string]string{
		"no revision": "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
		"others":      "CREATE TABLE users (id INT); CREATE TABLE bank (id INT)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			migrationstest.Exec(t, p.admin, statements)
			m := p.migrator(t)
			if steps, err := m.Up(t.Context()); err != nil || spelled(steps) != "up 1, up 2" {
				t.Errorf("got %q, %v, want up 1, up 2", spelled(steps), err)
			}
			if problems, err := m.Verify(t.Context()); err != nil || len(problems) > 0 {
				t.Errorf("got the problems %q, %v, want none", problems, err)
			}
		})
	}
}
