package mysql

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// openAfter opens a session on a connection that statements have shaped before: what an operator's
// defaults and init_connect do to every connection.
func (s *server) openAfter(t *testing.T, statements ...string) engine.Session {
	t.Helper()
	source := s.source(t, extracttest.Granted).(*Source)
	conn, err := source.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	opened := &session{source: source, conn: conn}
	t.Cleanup(func() { _ = opened.Close(context.Background()) })
	for _, statement := range statements {
		if _, err := conn.ExecContext(t.Context(), statement, nil); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := opened.begin(t.Context()); err != nil {
		t.Fatalf("after %q: %v", statements, err)
	}
	return opened
}

// TestOperatorsDefaults checks that nothing that an operator may set for all sessions changes a file.
func TestOperatorsDefaults(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, `CREATE TABLE ajustes (id int PRIMARY KEY, texto varchar(20), antiguo varchar(20) CHARACTER SET latin1,
		vacio varchar(5), momento timestamp(6) NULL, fecha date, n bigint unsigned, f float, doc json, activo boolean, b blob)`)
	must(t, s.admin, `INSERT INTO ajustes VALUES (1, 'Ñandú 💊 "\\', 'Ñandú', '', '2025-06-01 12:00:00.5', '2025-06-01', 18446744073709551615, 0.1, '{"a": "ñ"}', 1, x'00'),
		(2, 'a', 'a', '', '2025-06-01 12:00:00', '2025-06-01', 1, 1, '{}', 0, x'00')`)
	const want = `"Ñandú 💊 ""\",Ñandú,"",2025-06-01 12:00:00.5+00,2025-06-01,18446744073709551615,0.1,"{""a"":""ñ""}",true,\x00` + "\n" +
		`a,a,"",2025-06-01 12:00:00+00,2025-06-01,1,1,{},false,\x00` + "\n"
	settings := []string{
		"SET NAMES latin1", "SET NAMES utf8mb3", "SET character_set_results = NULL", "SET NAMES binary",
		"SET time_zone = '-05:00'", "SET lc_time_names = 'es_PE'", "SET sql_select_limit = 1", "SET sql_big_selects = 0, max_join_size = 1",
		"SET autocommit = 0", "SET completion_type = 1", "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "SET SESSION TRANSACTION READ WRITE",
		"SET sql_mode = ''", "SET sql_mode = 'ANSI'", "SET sql_mode = 'TRADITIONAL'", "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
		"SET sql_mode = 'PIPES_AS_CONCAT,IGNORE_SPACE,HIGH_NOT_PRECEDENCE,REAL_AS_FLOAT,NO_UNSIGNED_SUBTRACTION'",
		"SET sql_mode = 'ALLOW_INVALID_DATES,NO_ZERO_DATE,NO_ZERO_IN_DATE'", "SET sql_mode = 'ONLY_FULL_GROUP_BY'", "SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'",
	}
	if s.isMariaDB(t) {
		settings = append(settings, "SET sql_mode = 'ORACLE'", "SET sql_mode = 'MSSQL'", "SET sql_mode = 'EMPTY_STRING_IS_NULL'", "SET sql_mode = 'TIME_ROUND_FRACTIONAL'",
			"SET max_statement_time = 10", "SET old_mode = ''")
	} else {
		settings = append(settings, "SET sql_mode = 'TIME_TRUNCATE_FRACTIONAL'", "SET max_execution_time = 10000", "SET explain_format = 'TREE'",
			"SET session_track_system_variables = '*'", "SET session_track_state_change = 1")
	}
	d := catalog.Dataset{Name: "ajustes", Table: "ajustes", Exclude: []string{"id"}, Where: "texto <> 'x'", OrderBy: []catalog.Order{{Column: "id"}}}
	for _, setting := range settings {
		opened := s.openAfter(t, setting)
		extraction, _, csv := extract(t, opened, d)
		if string(csv) != want {
			t.Errorf("after %s the file is\n%swant\n%s", setting, csv, want)
		}
		var types []string
		for _, c := range extraction.Columns {
			types = append(types, c.Type)
		}
		if got := strings.Join(types, " "); got != "text text text instant date integer float json boolean binary" {
			t.Errorf("after %s the types are %s", setting, got)
		}
		limits, err := opened.(*session).rows(t.Context(), "SHOW SESSION VARIABLES WHERE Variable_name IN ('max_statement_time', 'max_execution_time') AND Value > 0")
		if err != nil || len(limits.rows) > 0 {
			t.Errorf("after %s statements are limited: %v (%v)", setting, limits.rows, err)
		}
	}
}

// TestPaddedChar checks what the documentation says of the one setting that stays the operator's.
func TestPaddedChar(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE relleno (a char(5))")
	must(t, s.admin, "INSERT INTO relleno VALUES ('ab')")
	for mode, want := range map[string]string{"": "ab\n", "PAD_CHAR_TO_FULL_LENGTH": "ab   \n"} {
		if _, _, csv := extract(t, s.openAfter(t, "SET sql_mode = '"+mode+"'"), catalog.Dataset{Name: "relleno", Table: "relleno"}); string(csv) != want {
			t.Errorf("in the mode %q the file is %q, want %q", mode, csv, want)
		}
	}
}

// TestTimestampIsAnInstant writes the same instant from sessions of several time zones.
func TestTimestampIsAnInstant(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE momentos (id int PRIMARY KEY, a timestamp(3) NULL, b datetime(3))")
	conn, err := s.admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, at := range [][2]string{{"+00:00", "17:00:00.250"}, {"-05:00", "12:00:00.250"}, {"+05:30", "22:30:00.250"}, {"+13:00", "2025-06-02 06:00:00.250"}} {
		if len(at[1]) < len("2006-01-02") || at[1][4] != '-' {
			at[1] = "2025-06-01 " + at[1]
		}
		for _, statement := range []string{"SET time_zone = '" + at[0] + "'", fmt.Sprintf("INSERT INTO momentos VALUES (%d, '%s', '%s')", i, at[1], at[1])} {
			if _, err := conn.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	_, _, csv := extract(t, s.open(t, false), catalog.Dataset{Name: "momentos", Table: "momentos", Exclude: []string{"id"}, OrderBy: []catalog.Order{{Column: "id"}}})
	const want = "2025-06-01 17:00:00.25+00,2025-06-01 17:00:00.25\n" +
		"2025-06-01 17:00:00.25+00,2025-06-01 12:00:00.25\n" +
		"2025-06-01 17:00:00.25+00,2025-06-01 22:30:00.25\n" +
		"2025-06-01 17:00:00.25+00,2025-06-02 06:00:00.25\n"
	if string(csv) != want {
		t.Errorf("the file is\n%swant\n%s", csv, want)
	}
}

// TestKindsOfColumns reads columns that are generated, invisible or have odd names.
func TestKindsOfColumns(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE columnas (id int PRIMARY KEY, oculta int INVISIBLE, virtual_ int GENERATED ALWAYS AS (id * 2) VIRTUAL, "+
		"guardada varchar(20) GENERATED ALWAYS AS (CONCAT('n', id)) STORED, `ñandú con \"espacio\"` int DEFAULT 4, `select` int DEFAULT 5, `a,b` json, `c``d` json)")
	must(t, s.admin, "INSERT INTO columnas (id, oculta) VALUES (1, 3)")
	extraction, _, csv := extract(t, s.open(t, false), catalog.Dataset{Name: "columnas", Table: "columnas"})
	if want := "1,3,2,n1,4,5,,\n"; string(csv) != want {
		t.Errorf("the file is %q, want %q", csv, want)
	}
	var got []string
	for _, c := range extraction.Columns {
		got = append(got, c.Name+" "+c.Type)
	}
	if want := "[id integer oculta integer virtual_ integer guardada text ñandú con \"espacio\" integer select integer a,b json c`d json]"; fmt.Sprint(got) != want {
		t.Errorf("the columns are %s, want %s", got, want)
	}
	_, _, csv = extract(t, s.open(t, false), catalog.Dataset{
		Name: "columnas", Query: "SELECT * FROM columnas", Columns: []catalog.Column{{Name: "select"}, {Name: "virtual_"}, {Name: `ñandú con "espacio"`}},
	})
	if want := "5,2,4\n"; string(csv) != want {
		t.Errorf("the query gave %q, want %q", csv, want)
	}
	_, err := s.open(t, false).Prepare(t.Context(), catalog.Dataset{Name: "columnas", Query: "SELECT * FROM columnas", Columns: []catalog.Column{{Name: "oculta"}}})
	if !ingest.HasCode(err, ingest.ColumnNotFound) {
		t.Errorf("an invisible column of a query: %v, want %s", err, ingest.ColumnNotFound)
	}
}
