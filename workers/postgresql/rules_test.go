package postgresql

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// dataset returns the dataset that stands in a catalog, with the salt of its hashes.
func dataset(t *testing.T, text string) catalog.Dataset {
	t.Helper()
	parsed, err := catalog.Parse("test.yaml", []byte("version: 1\ndatabases: [{name: postgresql, datasets: [{name: d, "+text+"}]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = parsed.Salted(salt); err != nil {
		t.Fatal(err)
	}
	database, _ := parsed.Database(ingest.PostgreSQL)
	return database.Datasets[0]
}

const salt = "sal-de-prueba-0123456789"

func hashed(text string) string {
	sum := sha256.Sum256([]byte(salt + text))
	return hex.EncodeToString(sum[:])
}

func TestColumnRules(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, `CREATE TABLE clientes (id bigint PRIMARY KEY, dni varchar(20), nombre text, precio double precision, alta timestamptz, activo boolean,
		notas text, to_json int[], "or""der" int, saldo money, datos jsonb)`)
	must(t, s.admin, `INSERT INTO clientes VALUES
		(1, '01234567', 'Ñandú, "S.A."', 0.1, '2025-01-02 03:04:05+00', true, 'x', '{3}', 30, '9.00', '{"a": [1, 2]}'),
		(2, NULL, '', NULL, NULL, false, NULL, NULL, 10, '-10.00', NULL),
		(3, '76543210', 'Ana', 2.5, '2025-01-02 03:04:06+00', true, 'no', '{1}', 20, '100.00', '"x"')`)
	tests := []struct {
		name, dataset string
		want          string
	}{
		{"as", "table: clientes, columns: [{name: nombre, as: cliente}, id], order_by: [id]",
			`[["Ñandú, \"S.A.\"" "1"] ["" "2"] ["Ana" "3"]]`},
		{"exclude", "table: clientes, exclude: [dni, nombre, alta, notas, to_json, saldo, datos], order_by: [id]",
			`[["1" "0.1" "true" "30"] ["2" NULL "false" "10"] ["3" "2.5" "true" "20"]]`},
		{"where", "table: clientes, columns: [id], where: precio > 0.05 and nombre <> 'x)', order_by: [id]",
			`[["1"] ["3"]]`},
		{"where with alternatives", "table: clientes, columns: [id], where: 1 = 0 or id = 2",
			`[["2"]]`},
		{"where by the table's name", "table: public.clientes, columns: [id], where: clientes.id = 3",
			`[["3"]]`},
		{"where that reads another table", "table: clientes, columns: [id], where: id in (select max(c.id) from clientes c)",
			`[["3"]]`},
		{"order_by", "table: clientes, columns: [id], order_by: [activo desc, precio desc]",
			`[["3"] ["1"] ["2"]]`},
		{"order by values, not by their text", "table: clientes, columns: [id, saldo], order_by: [saldo]",
			`[["2" "-10.00"] ["1" "9.00"] ["3" "100.00"]]`},
		{"order by a column that has the name of an expression", "table: clientes, columns: [id, to_json], order_by: [to_json, id]",
			`[["3" "[1]"] ["1" "[3]"] ["2" NULL]]`},
		{"order by a column that is not exported", "table: clientes, columns: [{name: id, as: precio}], order_by: [precio desc]",
			`[["2"] ["3"] ["1"]]`},
		{"mask", "table: clientes, columns: [{name: id, mask: hash}, {name: dni, mask: last4}, {name: nombre, mask: redact}, {name: precio, mask: hash}, " +
			"{name: activo, mask: hash}, {name: alta, mask: hash}, {name: datos, mask: hash}], order_by: [id]",
			fmt.Sprintf(`[["%s" "****4567" "****" "%s" "%s" "%s" "%s"] ["%s" NULL "****" NULL "%s" NULL NULL] ["%s" "****3210" "****" "%s" "%s" "%s" "%s"]]`,
				hashed("1"), hashed("0.1"), hashed("true"), hashed("2025-01-02 03:04:05+00"), hashed(`{"a":[1,2]}`),
				hashed("2"), hashed("false"),
				hashed("3"), hashed("2.5"), hashed("true"), hashed("2025-01-02 03:04:06+00"), hashed(`"x"`))},
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

	t.Run("described", func(t *testing.T) {
		extraction, _, _ := extracttest.Export(t, s.source(t, extracttest.Granted),
			dataset(t, "table: clientes, columns: [id, {name: dni, as: documento, mask: hash}, {name: precio, mask: redact}, {name: notas, json: true}]"))
		want := []ingest.Column{
			{Name: "id", Type: "integer", SourceType: "bigint"},
			{Name: "documento", Type: "text", Source: "dni", SourceType: "character varying(20)", Mask: "hash"},
			{Name: "precio", Type: "text", SourceType: "double precision", Mask: "redact"},
			{Name: "notas", Type: "json", SourceType: "text"},
		}
		if got := extraction.Columns; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("withheld", func(t *testing.T) {
		extraction, _, _ := extracttest.Export(t, s.source(t, extracttest.Granted), dataset(t, "table: clientes, exclude: [dni, datos]"))
		want := []ingest.Withheld{{Name: "dni", Rule: "excluded"}, {Name: "datos", Rule: "excluded"}}
		if got := extraction.Withheld; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("an estimate knows the condition", func(t *testing.T) {
		must(t, s.admin, "ANALYZE clientes")
		extraction, _, _ := extracttest.Export(t, s.source(t, extracttest.Granted), dataset(t, "table: clientes, where: id = 3"))
		if extraction.EstimatedRows != 1 {
			t.Errorf("the estimate is %d rows, want 1 of the three", extraction.EstimatedRows)
		}
	})
}

// TestRulesOfWhatIsNotThere names columns that the table lacks.
func TestRulesOfWhatIsNotThere(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE clientes (id bigint, nombre text)")
	for _, test := range []struct {
		dataset string
		code    ingest.Code
	}{
		{"table: clientes, columns: [id, apodo]", ingest.ColumnNotFound},
		{"table: clientes, exclude: [apodo]", ingest.ColumnNotFound},
		{"table: clientes, order_by: [apodo]", ingest.ColumnNotFound},
		{"table: clientes, order_by: [ID]", ingest.ColumnNotFound},
		{"table: clientes, where: apodo = 'x'", ingest.ColumnNotFound},
		{"table: clientes, where: id in (select id from apodos)", ingest.TableNotFound},
		{"table: clientes, where: nombre", ingest.QueryFailed},
		{"table: clientes, where: count(*) > 1", ingest.QueryFailed},
		{"table: clientes, where: id = $1", ingest.QueryFailed},
	} {
		session := opened(t, s.source(t, extracttest.Granted))
		if _, err := session.Prepare(t.Context(), rawDataset(t, test.dataset)); !ingest.HasCode(err, test.code) {
			t.Errorf("%s: got %v, want %s", test.dataset, err, test.code)
		}
	}
}

// attack is a dataset that the catalog would refuse to have, or a login should not be trusted with.
type attack struct {
	name    string
	dataset catalog.Dataset
	escapes bool // from the place where it stands: it has to be refused, also where it does nothing
}

// attacks try to change what the database holds, or to get out of the place where they stand.
func attacks() []attack {
	id := []catalog.Column{{Name: "id"}}
	var all []attack
	for _, name := range []string{
		"victima; DROP TABLE victima", `victima"; DROP TABLE victima; --`, `victima") TO STDOUT; COMMIT; DROP TABLE victima; --`,
		`public.victima"; DROP TABLE victima; --`, `"victima"`, "victima WHERE false", "victima, secreta", "(DELETE FROM victima RETURNING 1)",
		"victima' OR 'a' = 'a", "victima\x00", "pg_catalog.pg_authid", "", ".", "public.", strings.Repeat("x", 100_000),
	} {
		all = append(all, attack{"table " + name, catalog.Dataset{Table: name}, true},
			attack{"required " + name, catalog.Dataset{Query: "SELECT id FROM victima", Requires: []string{name}, Columns: id}, name != "pg_catalog.pg_authid"})
	}
	for _, name := range []string{
		`id"; DROP TABLE victima; --`, `id", (DELETE FROM victima RETURNING 1) AS "x`, `id" FROM victima) TO STDOUT; COMMIT; DROP TABLE victima; --`,
		"*", "1", "id, nombre", "nextval('cuenta')", "ctid", "xmin", "id\x00", "",
	} {
		all = append(all, attack{"column " + name, catalog.Dataset{Table: "victima", Columns: []catalog.Column{{Name: name}}}, true},
			attack{"order by " + name, catalog.Dataset{Table: "victima", OrderBy: []catalog.Order{{Column: name}}}, true},
			attack{"excluded " + name, catalog.Dataset{Table: "victima", Exclude: []string{name}}, true})
	}
	for _, condition := range []string{
		"true; DELETE FROM victima", "true; COMMIT; DELETE FROM victima; --", "true)); COMMIT; DELETE FROM victima; SELECT ((true",
		"true)) TO STDOUT; COMMIT; DELETE FROM victima; --", "true))) TO STDOUT; COMMIT; DELETE FROM victima; COPY (SELECT 1 WHERE ((true",
		"true) UNION SELECT id, nombre, clave FROM secreta WHERE (true", "true)) UNION SELECT id, nombre, clave FROM secreta WHERE ((true",
		"true) UNION SELECT id, nombre, clave FROM victima WHERE (true", "true)) UNION SELECT id, nombre, clave FROM victima WHERE ((true",
		"true)) UNION SELECT id FROM victima WHERE ((true", "true)) OR ((true", "false) OR (id = 7 OR true",
		"SELECT true) UNION (SELECT true", "true) THEN 1 END, CASE WHEN (true", "true)) ORDER BY ((1", "true)) LIMIT ((1", "true)) FOR UPDATE OF victima --",
		"true)) GROUP BY id, nombre, clave HAVING ((true",
		"true --", "true /*", "true */", "/* true", "'", `"`, "$$", "$x$ true", "E'\\'' = ''", "\x00", "", " ",
		"nextval('cuenta') > 0", "setval('cuenta', 100) > 0", "borra()", "borra_del_todo()",
		"set_config('transaction_read_only', 'off', true) = 'off'", "set_config('transaction_read_only', 'off', false) = 'off' AND borra()",
		"set_config('default_transaction_read_only', 'off', false) = 'off'", "set_config('role', 'postgres', false) = 'postgres'",
		"set_config('session_authorization', 'postgres', false) = 'postgres'", "set_config('TimeZone', 'America/Lima', false) = 'America/Lima'",
		"lo_create(0) > 0", "lo_from_bytea(0, 'x') > 0", "pg_notify('x', 'y') IS NULL", "query_to_xml('DELETE FROM victima', true, true, '') IS NOT NULL",
		"query_to_xml('COMMIT', true, true, '') IS NOT NULL", "pg_read_file('/etc/passwd') <> ''", "pg_ls_dir('.') <> ''", "pg_reload_conf()",
		"EXISTS (SELECT FROM secreta)", "EXISTS (SELECT FROM victima FOR UPDATE)",
		"nombre <> '\\' AND nombre <> ')) TO STDOUT; COMMIT; DELETE FROM victima; --'", // one string or two
	} {
		escapes := strings.HasPrefix(condition, "true)") || strings.Contains(condition, ";") && !strings.HasSuffix(condition, "--'")
		all = append(all, attack{"condition " + condition, catalog.Dataset{Table: "victima", Where: condition}, escapes},
			attack{"condition of one column " + condition, catalog.Dataset{Table: "victima", Where: condition, Columns: id}, escapes})
	}
	for _, query := range []string{
		"SELECT id FROM victima; DELETE FROM victima", "SELECT id FROM victima; COMMIT; DELETE FROM victima; --", "DELETE FROM victima RETURNING id",
		"INSERT INTO victima SELECT 9 RETURNING id", "UPDATE victima SET nombre = '' RETURNING id", "TRUNCATE victima", "COMMIT", "ROLLBACK", "END; DELETE FROM victima",
		"WITH x AS (DELETE FROM victima RETURNING id) SELECT id FROM x", "SELECT id FROM (DELETE FROM victima RETURNING id) x",
		"SELECT id INTO nueva FROM victima", "CREATE TABLE nueva AS SELECT id FROM victima", "SELECT id FROM victima FOR UPDATE",
		"SELECT 1 AS id) AS x; COMMIT; DELETE FROM victima; --", "SELECT 1 AS id) TO STDOUT; COMMIT; DELETE FROM victima; --", "SELECT 1 AS id) x, (SELECT 2",
		"SELECT id FROM victima --", "SELECT id FROM victima /*", "EXPLAIN ANALYZE DELETE FROM victima", "EXECUTE x", "CALL procedimiento()", "DO 'BEGIN DELETE FROM victima; END'",
		"SET transaction_read_only = off", "SET SESSION AUTHORIZATION postgres", "RESET ALL", "DISCARD ALL", "COPY victima TO STDOUT", "COPY victima TO PROGRAM 'cat'",
		"LOCK TABLE victima", "SHOW ALL", "LISTEN x", "NOTIFY x", "DECLARE c CURSOR FOR SELECT id FROM victima", "PREPARE p AS DELETE FROM victima", "VACUUM",
		"SELECT nextval('cuenta') AS id", "SELECT borra() AS id", "SELECT borra_del_todo() AS id", "SELECT set_config('transaction_read_only', 'off', true) AS id, borra()",
		"SELECT lo_create(0) AS id", "SELECT lo_import('/etc/passwd') AS id", "SELECT id FROM victima WHERE id = $1", "SELECT clave AS id FROM secreta",
		"SELECT pg_notify('x', 'y') AS id", "SELECT set_config('session_authorization', 'postgres', false) AS id", "",
	} {
		all = append(all, attack{"query " + query, catalog.Dataset{Query: query, Columns: id}, strings.Contains(query, ";")})
	}
	return all
}

// TestAttacks runs datasets that try to change data, as a login that may change it. Some are refused,
// some do nothing; nothing in the database changes, and the session shows the same rows as before.
func TestAttacks(t *testing.T) {
	s := newServer(t)
	for _, statement := range []string{
		"GRANT ALL ON SCHEMA public TO " + s.reader,
		"CREATE TABLE victima (id bigint PRIMARY KEY, nombre text, clave text)",
		"INSERT INTO victima SELECT i, 'nombre ' || i, 'clave' FROM generate_series(1, 1000) i",
		"CREATE TABLE secreta AS TABLE victima",
		"REVOKE ALL ON secreta FROM " + s.reader,
		"CREATE SEQUENCE cuenta",
		"CREATE FUNCTION borra() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN DELETE FROM victima; RETURN true; END'",
		`CREATE FUNCTION borra_del_todo() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS
			'BEGIN PERFORM set_config(''transaction_read_only'', ''off'', false); DELETE FROM victima; RETURN true; END'`,
		"CREATE PROCEDURE procedimiento() LANGUAGE plpgsql AS 'BEGIN DELETE FROM victima; COMMIT; END'",
		"ALTER ROLE " + s.reader + " SET standard_conforming_strings = off",
	} {
		must(t, s.admin, statement)
	}
	// The attacker's own login can do harm: otherwise the test would show nothing.
	login, err := pgx.Connect(t.Context(), s.config.ConnString())
	if err != nil {
		t.Fatal(err)
	}
	must(t, login, "BEGIN; DELETE FROM victima; SELECT nextval('cuenta'); CREATE TABLE nueva (); ROLLBACK")
	_ = login.Close(t.Context())
	before := s.fingerprint(t)

	victims := catalog.Dataset{Name: "victima", Table: "victima", Allow: []string{"clave"}}
	for _, source := range []*Source{s.in(t, alone), s.in(t, cutSmall)} {
		want := new(file)
		if _, err := prepared(t, opened(t, source), victims).Run(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		tried, refused := 0, 0
		for _, a := range attacks() {
			if source.parallel > 1 && a.dataset.Where == "" {
				continue // is not read in ranges
			}
			tried++
			a.dataset.Name, a.dataset.Allow = "ataque", victims.Allow
			session, err := source.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var extraction engine.Extraction
			out := new(file)
			if extraction, err = session.Prepare(t.Context(), a.dataset); err == nil {
				_, err = extraction.Run(t.Context(), out)
			}
			if err != nil {
				refused++
				if failed, ok := errors.AsType[*ingest.Error](err); !ok || failed.Transient {
					t.Errorf("%.200q: refused with %v, want an error for good", a.name, err)
				}
			} else if a.escapes || out.rows > 1000 {
				t.Errorf("%.200q was not refused, and gave %d rows", a.name, out.rows)
			}
			again, after := new(file), catalog.Dataset{Name: "victima", Table: "victima", Allow: victims.Allow}
			if extraction, err = session.Prepare(t.Context(), after); err == nil {
				_, err = extraction.Run(t.Context(), again)
			}
			if err != nil || !bytes.Equal(again.Bytes(), want.Bytes()) {
				t.Errorf("%.200q: the session goes on with %d bytes and %v, want the table as before", a.name, again.Len(), err)
			}
			_ = session.Close(t.Context())
			if now := s.fingerprint(t); now != before {
				t.Fatalf("%.200q changed the database:\n%s\nwas\n%s", a.name, now, before)
			}
		}
		if refused < tried*3/4 {
			t.Errorf("only %d of %d attacks were refused", refused, tried)
		}
	}
}

// fingerprint tells two states of the database apart.
func (s *server) fingerprint(t *testing.T) (state string) {
	t.Helper()
	err := s.admin.QueryRow(t.Context(), `SELECT concat_ws(E'\n',
		(SELECT md5(string_agg(v::text, '' ORDER BY id)) FROM victima v), (SELECT md5(string_agg(v::text, '' ORDER BY id)) FROM secreta v),
		(SELECT string_agg(c.oid || c.relname || c.relfilenode, ' ' ORDER BY c.oid) FROM pg_class c),
		(SELECT string_agg(p.oid || p.proname, ' ' ORDER BY p.oid) FROM pg_proc p WHERE p.oid >= 16384),
		(SELECT concat(last_value, is_called) FROM cuenta), (SELECT count(*) FROM pg_largeobject_metadata),
		(SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM pg_db_role_setting r), (SELECT count(*) FROM pg_roles))`).Scan(&state)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// rawDataset returns a dataset whose catalog is not asked for its opinion of the condition.
func rawDataset(t *testing.T, text string) catalog.Dataset {
	t.Helper()
	head, condition, ok := strings.Cut(text, ", where: ")
	d := dataset(t, head)
	if ok {
		d.Where = condition
	}
	return d
}

// TestHarmfulNames exports a table and columns whose names are statements.
func TestHarmfulNames(t *testing.T) {
	s := newServer(t)
	name := `x"; DROP TABLE victima; --`
	must(t, s.admin, "CREATE TABLE victima (id int)")
	must(t, s.admin, "CREATE TABLE "+quoteColumn(name)+" (id int, "+quoteColumn(name)+` text, "$1" text, "a) TO STDOUT; --" text)`)
	must(t, s.admin, "INSERT INTO "+quoteColumn(name)+" VALUES (1, 'a', 'b', 'c')")
	extraction, _, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{Name: "x", Table: name, OrderBy: []catalog.Order{{Column: name}}})
	if got := fmt.Sprint(records); got != `[["1" "a" "b" "c"]]` || extraction.Columns[1].Name != name {
		t.Errorf("got %s of the columns %v", got, extraction.Columns)
	}
	must(t, s.admin, "TABLE victima") // is still there
}
