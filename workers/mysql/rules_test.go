package mysql

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// dataset returns the dataset that stands in a catalog, with the salt of its hashes.
func dataset(t *testing.T, text string) catalog.Dataset {
	t.Helper()
	parsed, err := catalog.Parse("test.yaml", []byte("version: 1\ndatabases: [{name: mysql, datasets: [{name: d, "+text+"}]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = parsed.Salted(salt); err != nil {
		t.Fatal(err)
	}
	database, _ := parsed.Database(ingest.MySQL)
	return database.Datasets[0]
}

const salt = "sal-de-prueba-0123456789"

func hashed(text string) string {
	sum := sha256.Sum256([]byte(salt + text))
	return hex.EncodeToString(sum[:])
}

func TestColumnRules(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE clientes (id bigint PRIMARY KEY, dni varchar(20), nombre varchar(50), precio float, alta timestamp NULL, activo boolean, notas text, `or``der` int)")
	must(t, s.admin, "INSERT INTO clientes VALUES "+
		"(1, '01234567', 'Ñandú, \"S.A.\"', 0.1, '2025-01-02 03:04:05', 1, 'x', 30), "+
		"(2, NULL, '', NULL, NULL, 0, NULL, 10), "+
		"(3, '76543210', 'Ana', 2.5, '2025-01-02 03:04:06', 1, 'no', 20)")
	tests := []struct {
		name, dataset string
		want          string
	}{
		{"as", "table: clientes, columns: [{name: nombre, as: cliente}, id], order_by: [id]",
			`[["Ñandú, \"S.A.\"" "1"] ["" "2"] ["Ana" "3"]]`},
		{"exclude", "table: clientes, exclude: [dni, nombre, alta, notas], order_by: [id]",
			`[["1" "0.1" "true" "30"] ["2" NULL "false" "10"] ["3" "2.5" "true" "20"]]`},
		{"where", "table: clientes, columns: [id], where: precio > 0.05 and nombre <> 'x)'",
			`[["1"] ["3"]]`},
		{"where with alternatives", "table: clientes, columns: [id], where: 1 = 0 or id = 2",
			`[["2"]]`},
		{"order_by", "table: clientes, columns: [id], order_by: [activo desc, precio desc]",
			`[["3"] ["1"] ["2"]]`},
		{"order by a column that is not exported", "table: clientes, columns: [{name: id, as: precio}], order_by: [precio desc]",
			`[["3"] ["1"] ["2"]]`},
		{"mask", "table: clientes, columns: [{name: id, mask: hash}, {name: dni, mask: last4}, {name: nombre, mask: redact}, {name: precio, mask: hash}, {name: activo, mask: hash}, {name: alta, mask: hash}], order_by: [id]",
			fmt.Sprintf(`[["%s" "****4567" "****" "%s" "%s" "%s"] ["%s" NULL "****" NULL "%s" NULL] ["%s" "****3210" "****" "%s" "%s" "%s"]]`,
				hashed("1"), hashed("0.1"), hashed("true"), hashed("2025-01-02 03:04:05+00"),
				hashed("2"), hashed("false"),
				hashed("3"), hashed("2.5"), hashed("true"), hashed("2025-01-02 03:04:06+00"))},
		{"mask and as of a query", "query: SELECT dni AS a FROM clientes ORDER BY id, requires: [clientes], columns: [{name: a, as: documento, mask: hash}]",
			fmt.Sprintf(`[["%s"] [NULL] ["%s"]]`, hashed("01234567"), hashed("76543210"))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, records := extracttest.Export(t, s.source(t, extracttest.Granted), dataset(t, test.dataset))
			if got := fmt.Sprint(records); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}

	extraction, _, _ := extracttest.Export(t, s.source(t, extracttest.Granted), dataset(t, "table: clientes, columns: [{name: dni, as: documento, mask: hash}, id], where: id > 1"))
	want := []ingest.Column{
		{Name: "documento", Source: "dni", Mask: "hash", Type: ingest.TypeText, SourceType: "varchar(20)"},
		{Name: "id", Type: ingest.TypeInteger, SourceType: extraction.Columns[1].SourceType},
	}
	if fmt.Sprint(extraction.Columns) != fmt.Sprint(want) {
		t.Errorf("the columns are %+v, want %+v", extraction.Columns, want)
	}
	if n := extraction.EstimatedRows; n < 1 || n > 3 {
		t.Errorf("the estimate is %d rows, want that of the condition, 1 to 3", n)
	}
	extraction, _, _ = extracttest.Export(t, s.source(t, extracttest.Granted), dataset(t, "table: clientes, exclude: [notas]"))
	if got := fmt.Sprint(extraction.Withheld); got != "[{notas excluded}]" {
		t.Errorf("withheld is %s, want notas by its rule", got)
	}
}

func TestRulesAreCheckedAgainstTheServer(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE clientes (id int PRIMARY KEY, nombre varchar(50))")
	tests := []struct {
		dataset string
		code    ingest.Code
	}{
		{"table: clientes, columns: [apodo]", ingest.ColumnNotFound},
		{"table: clientes, exclude: [apodo]", ingest.ColumnNotFound},
		{"table: clientes, order_by: [apodo]", ingest.ColumnNotFound},
		{"table: clientes, where: apodo = 1", ingest.ColumnNotFound},
		{"table: clientes, where: id = = 1", ingest.QueryFailed},
		{"table: clientes, where: id IN (SELECT id FROM otra)", ingest.TableNotFound},
		{"table: clientes, where: id IN (SELECT id FROM clientes FOR SHARE)", ingest.QueryFailed},
		{"query: SELECT id FROM clientes LOCK IN  SHARE MODE, requires: [clientes], columns: [id]", ingest.QueryFailed},
		{"query: SELECT id FROM clientes for update, requires: [clientes], columns: [id]", ingest.QueryFailed},
	}
	session, err := s.source(t, extracttest.Granted).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close(t.Context()) }()
	for _, test := range tests {
		if _, err := session.Prepare(t.Context(), dataset(t, test.dataset)); !ingest.HasCode(err, test.code) {
			t.Errorf("%s: %v, want %s before a row is read", test.dataset, err, test.code)
		}
	}
	// Words in quotes lock nothing.
	if _, err := session.Prepare(t.Context(), dataset(t, "table: clientes, where: nombre = ' for update '")); err != nil {
		t.Errorf("a condition that looks for the words: %v", err)
	}
}

// TestInjection lets hostile texts at the source as if no catalog had looked at them. Whether they are
// refused or run as something harmless: nothing changes in the database or on the server's disk, no
// lock stays, and no row of another table comes out by a name or a condition of this one.
func TestInjection(t *testing.T) {
	s := newServer(t)
	for _, host := range []string{"'%'", "'localhost'"} {
		must(t, s.admin, "GRANT FILE ON *.* TO "+s.reader+"@"+host)
	}
	must(t, s.admin, "CREATE TABLE clientes (id int PRIMARY KEY, nombre varchar(50), `a``b` int, `x`` FROM ocultos -- y` int)")
	must(t, s.admin, "INSERT INTO clientes VALUES (1, 'Ana', 5, 6), (2, 'Luis', 7, 8)")
	must(t, s.admin, "CREATE TABLE ocultos (id int PRIMARY KEY, nombre varchar(50))")
	must(t, s.admin, "INSERT INTO ocultos VALUES (1, 'oculto')")
	must(t, s.admin, "CREATE TABLE vieja (id int PRIMARY KEY) ENGINE = MyISAM")
	must(t, s.admin, "CREATE FUNCTION borra() RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN DELETE FROM clientes; RETURN 1; END")
	must(t, s.admin, "CREATE FUNCTION apunta() RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO vieja VALUES (FLOOR(RAND() * 1000000)); RETURN 1; END")
	sequence := s.isMariaDB(t)
	if sequence {
		must(t, s.admin, "CREATE SEQUENCE folios")
	}
	file := s.fileOnServer(t)
	into := "INTO OUTFILE '" + file + "'"

	id, named := catalog.Column{Name: "id"}, catalog.Column{Name: "nombre"}
	table := func(name string) catalog.Dataset { return catalog.Dataset{Name: "d", Table: name} }
	where := func(condition string) catalog.Dataset {
		return catalog.Dataset{Name: "d", Table: "clientes", Columns: []catalog.Column{id, named}, Where: condition}
	}
	query := func(statement string) catalog.Dataset {
		return catalog.Dataset{Name: "d", Query: statement, Columns: []catalog.Column{id}}
	}
	hostile := []catalog.Dataset{
		table("clientes; DROP TABLE clientes"), table("clientes`; DROP TABLE `clientes"), table("clientes` " + into + " -- "),
		table("clientes WHERE 1 = 0 UNION SELECT * FROM ocultos"), table("clientes` UNION SELECT * FROM ocultos -- "),
		table("clientes -- "), table("clientes/**/"), table("`clientes`"), table("."), table("clientes."), table(".clientes"), table("a.b.c"),
		table("clientes\x00"), table("clientes\\"), table("'clientes'"), table(strings.Repeat("x", 65)), table("(SELECT 1)"), table("%"), table("client_s"),
		{Name: "d", Table: "clientes", Columns: []catalog.Column{{Name: "id`, (SELECT nombre FROM ocultos) AS `x"}}},
		{Name: "d", Table: "clientes", Columns: []catalog.Column{{Name: "*"}}},
		{Name: "d", Table: "clientes", Columns: []catalog.Column{{Name: "1"}}},
		{Name: "d", Table: "clientes", Columns: []catalog.Column{{Name: "borra()"}}},
		{Name: "d", Table: "clientes", Columns: []catalog.Column{id}, OrderBy: []catalog.Order{{Column: "id`; DROP TABLE `clientes"}}},
		{Name: "d", Table: "clientes", Columns: []catalog.Column{id}, OrderBy: []catalog.Order{{Column: "id " + into}}},
		{Name: "d", Table: "clientes", Columns: []catalog.Column{id}, OrderBy: []catalog.Order{{Column: "(SELECT borra())"}}},
		{Name: "d", Table: "clientes", Columns: []catalog.Column{id}, Exclude: []string{"x`"}},
		where("1 = 1) " + into + " -- "), where("1 = 1) " + into + " # "), where("1 = 1) /*!" + into + "*/ -- "),
		where("1 = 1) " + into + " LINES TERMINATED BY ')' -- ("), where("1 = 1) INTO DUMPFILE '" + file + "' -- "),
		where("1 = 1) FOR SHARE -- "), where("1 = 1) LOCK IN SHARE MODE -- "), where("1 = 1) FOR UPDATE -- "),
		where("1 = 1; DELETE FROM clientes"), where("1 = 1); DELETE FROM clientes; SELECT (1"), where("borra() = 1"), where("apunta() = 1"),
		where("id = 1 -- "), where("id = 1 #"), where("id = 1 /*"), where("id = 1 */"), where("id = '"), where("id = `"), where(")"), where("("), where("\x00"),
		where("id = (SELECT 1 " + into + ")"), where("id IN (SELECT id FROM ocultos FOR UPDATE)"), where("id IN (SELECT id FROM ocultos LOCK IN SHARE MODE)"),
		where("@a := 5"), where("GET_LOCK('ingesta', 0) > 5"),
		query("SELECT id FROM clientes " + into), query("SELECT id " + into + " FROM clientes"), query("SELECT id FROM clientes INTO DUMPFILE '" + file + "'"),
		query("SELECT id FROM clientes /*! " + into + " */"), query("SELECT id FROM clientes /*!50000 " + into + " */"), query("SELECT id FROM clientes /*M! " + into + " */"),
		query("(SELECT id FROM clientes) " + into), query("SELECT id FROM clientes UNION SELECT 1 " + into), query("WITH c AS (SELECT 1 AS id) SELECT id FROM c " + into),
		query("SELECT id FROM clientes) AS dataset " + into + " -- "), query("SELECT id FROM clientes) AS dataset; DELETE FROM clientes; -- "),
		query("SELECT id FROM clientes; DELETE FROM clientes"), query("SELECT id FROM clientes;"), query("DELETE FROM clientes"), query("DROP TABLE clientes"),
		query("WITH c AS (SELECT 1 AS id) DELETE FROM clientes"), query("CALL borra()"), query("SET GLOBAL max_connections = 1"), query("KILL 1"),
		query("COMMIT"), query("SELECT borra() AS id"), query("SELECT apunta() AS id FROM clientes"), query("SELECT id FROM clientes WHERE borra() = 1"),
		query("SELECT id FROM clientes FOR UPDATE"), query("SELECT id FROM clientes FOR SHARE"), query("SELECT id FROM clientes LOCK IN SHARE MODE"), query("SELECT id FROM (SELECT id FROM clientes FOR SHARE) AS x"),
		query("SELECT 1 AS id INTO @a"), query("SELECT @a := 1 AS id"), query("SELECT id FROM clientes PROCEDURE ANALYSE()"), query("TABLE clientes " + into),
		query("EXPLAIN SELECT borra()"), query("ANALYZE SELECT borra() AS id"), query("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE clientes"),
		query("CREATE TABLE y AS SELECT 1 AS id"), query("SELECT NEXT VALUE FOR folios AS id"), query("SELECT SETVAL(folios, 100) AS id"),
	}
	before := s.state(t, sequence)
	for _, d := range hostile {
		out := s.attack(t, d)
		text := d.Table + d.Where + d.Query + fmt.Sprint(d.Columns, d.OrderBy, d.Exclude)
		if strings.Contains(out, "oculto") {
			t.Errorf("%s: brought %q out", text, out)
		}
		if after := s.state(t, sequence); after != before {
			t.Fatalf("%s: changed the database\nfrom %s\nto   %s", text, before, after)
		}
		var content sql.NullString
		if err := s.admin.QueryRowContext(t.Context(), "SELECT LOAD_FILE(?)", file).Scan(&content); err != nil || content.Valid {
			t.Fatalf("%s: wrote a file (%q, %v)", text, content.String, err)
		}
	}

	// Names that a table really has are only names, whatever they look like. A comment comments out
	// nothing of ours.
	_, _, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{
		Name: "d", Table: "clientes", Where: "id < 5 -- y", OrderBy: []catalog.Order{{Column: "a`b", Descending: true}},
	})
	if got, want := fmt.Sprint(records), `[["2" "Luis" "7" "8"] ["1" "Ana" "5" "6"]]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// attack runs the dataset in a session of its own and returns what came out, if anything. While the
// session is open, rows must be free to be changed.
func (s *server) attack(t *testing.T, d catalog.Dataset) string {
	t.Helper()
	opened, err := s.source(t, extracttest.Granted).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close(context.Background()) }()
	var out strings.Builder
	if extraction, err := opened.Prepare(t.Context(), d); err == nil {
		_, _ = extraction.Run(t.Context(), &drain{Writer: &out})
	}
	tx, err := s.admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range []string{
		"SET SESSION innodb_lock_wait_timeout = 1",
		"UPDATE clientes SET nombre = CONCAT(nombre, '!')", "UPDATE ocultos SET nombre = CONCAT(nombre, '!')",
	} {
		if _, err := tx.ExecContext(t.Context(), statement); err != nil {
			t.Errorf("%s%s%s holds locks: %v", d.Table, d.Where, d.Query, err)
		}
	}
	return out.String()
}

// state describes all that is in the database.
func (s *server) state(t *testing.T, sequence bool) string {
	t.Helper()
	var all []string
	statements := []string{
		"SELECT CONCAT(TABLE_NAME, ' ', TABLE_TYPE) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1",
		"SELECT CONCAT_WS(',', id, nombre, `a``b`, `x`` FROM ocultos -- y`) FROM clientes ORDER BY id",
		"SELECT CONCAT_WS(',', id, nombre) FROM ocultos ORDER BY id", "SELECT id FROM vieja", "SELECT @@GLOBAL.max_connections",
	}
	if sequence {
		statements = append(statements, "SELECT next_not_cached_value FROM folios")
	}
	for _, statement := range statements {
		rows, err := s.admin.QueryContext(t.Context(), statement)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(all, "; ")
}

// fileOnServer returns a path at which the server can write a file and has none. It makes sure of that
// by having the reader write one beside it: the login may, only its sessions must not.
func (s *server) fileOnServer(t *testing.T) string {
	t.Helper()
	var folder string
	if err := s.admin.QueryRowContext(t.Context(), "SELECT @@tmpdir").Scan(&folder); err != nil {
		t.Fatal(err)
	}
	control := path.Join(folder, "control-"+rand.Text())
	connector, err := driver.NewConnector(s.config.Driver())
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	must(t, db, "SELECT 1 INTO OUTFILE '"+control+"'")
	var content sql.NullString
	if err := s.admin.QueryRowContext(t.Context(), "SELECT LOAD_FILE(?)", control).Scan(&content); err != nil || !content.Valid {
		t.Fatalf("the test cannot see files that the server writes (%v)", err)
	}
	injected := path.Join(folder, "injected-"+rand.Text())
	t.Cleanup(func() { // where the server's files are within reach
		_ = os.Remove(control)
		_ = os.Remove(injected)
	})
	return injected
}
