package postgresql

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// typed is a value of some type, and what the file has of it.
type typed struct {
	columnType string
	value      string // SQL
	want       string
	fileType   string
}

// typeTable is the type table of the package, by example.
func typeTable() []typed {
	return []typed{
		// Whole numbers.
		{"smallint", "-32768", "-32768", "integer"},
		{"integer", "2147483647", "2147483647", "integer"},
		{"bigint", "9223372036854775807", "9223372036854775807", "integer"},
		{"oid", "4294967295", "4294967295", "integer"},
		{"xid", "'4294967295'", "4294967295", "integer"},
		{"xid8", "'18446744073709551615'", "18446744073709551615", "integer"},
		{"cid", "'7'", "7", "integer"},

		// Decimals and floats.
		{"numeric", "1e120 + 0.000000000000000000000001", "1" + fmt.Sprintf("%0120d", 0) + ".000000000000000000000001", "decimal"},
		{"numeric", "'NaN'", "NaN", "decimal"},
		{"numeric", "'Infinity'", "Infinity", "decimal"},
		{"numeric", "'-Infinity'", "-Infinity", "decimal"},
		{"numeric", "-0.0", "0.0", "decimal"},
		{"numeric(10,2)", "-1.5", "-1.50", "decimal"},
		{"numeric(5,-2)", "12345", "12300", "decimal"},
		{"money", "(-1234567.89)::numeric", "-1234567.89", "decimal"},
		{"money", "'92233720368547758.07'", "92233720368547758.07", "decimal"},
		{"real", "0.1", "0.1", "float"},
		{"real", "16777216", "1.6777216e+07", "float"},
		{"real", "'NaN'", "NaN", "float"},
		{"double precision", "1.0/3", "0.3333333333333333", "float"},
		{"double precision", "'-0'", "-0", "float"},
		{"double precision", "5e-324", "5e-324", "float"},
		{"double precision", "1e15", "1e+15", "float"},
		{"double precision", "'Infinity'", "Infinity", "float"},
		{"double precision", "'-Infinity'", "-Infinity", "float"},
		{"double precision", "'NaN'", "NaN", "float"},

		// Truth, text, bytes.
		{"boolean", "true", "true", "boolean"},
		{"boolean", "false", "false", "boolean"},
		{"text", `E'a,"b"\n'`, "a,\"b\"\n", "text"},
		{"text", "''", "", "text"},
		{"varchar(20)", "' ñandú '", " ñandú ", "text"},
		{"char(5)", "'ab'", "ab   ", "text"},
		{"char", "''", " ", "text"},
		{`"char"`, "'ñ'", `\303`, "text"},
		{`"char"`, "''", "", "text"},
		{"name", "'usuario'", "usuario", "text"},
		{"bytea", `'\x00ff0a2c22'`, `\x00ff0a2c22`, "binary"},
		{"bytea", "''", `\x`, "binary"},
		{"animo", "'feliz, muy'", "feliz, muy", "text"},
		{"uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid"},
		{"bit(4)", "B'0101'", "0101", "bits"},
		{"varbit", "B''", "", "bits"},
		{"varbit(9)", "B'101'", "101", "bits"},
		{"xml", "'<a b=\"1\"> x </a>'", `<a b="1"> x </a>`, "text"},

		// Time.
		{"date", "'2025-01-02'", "2025-01-02", "date"},
		{"date", "'0044-03-15 BC'", "0044-03-15 BC", "date"},
		{"date", "'5874897-12-31'", "5874897-12-31", "date"},
		{"date", "'infinity'", "infinity", "date"},
		{"date", "'-infinity'", "-infinity", "date"},
		{"time", "'24:00:00'", "24:00:00", "time"},
		{"time(3)", "'12:34:56.7891'", "12:34:56.789", "time"},
		{"timetz", "'12:00:00.500-05'", "12:00:00.5-05", "time"},
		{"timetz", "'00:00:00+05:45:30'", "00:00:00+05:45:30", "time"},
		{"timestamp", "'2025-01-02 03:04:05.120000'", "2025-01-02 03:04:05.12", "timestamp"},
		{"timestamp", "'1969-12-31 23:59:59.999999'", "1969-12-31 23:59:59.999999", "timestamp"},
		{"timestamp", "'4713-01-01 00:00:00 BC'", "4713-01-01 00:00:00 BC", "timestamp"},
		{"timestamp", "'294276-12-31 23:59:59.999999'", "294276-12-31 23:59:59.999999", "timestamp"},
		{"timestamp", "'infinity'", "infinity", "timestamp"},
		{"timestamp(0)", "'2025-01-02 03:04:05.6'", "2025-01-02 03:04:06", "timestamp"},
		{"timestamptz", "'2025-01-02 03:04:05.12-05'", "2025-01-02 08:04:05.12+00", "instant"},
		{"timestamptz", "'1883-01-01 00:00:00 America/Lima'", "1883-01-01 05:08:12+00", "instant"},
		{"timestamptz", "'0001-01-01 00:00:00+14 BC'", "0002-12-31 10:00:00+00 BC", "instant"},
		{"timestamptz", "'-infinity'", "-infinity", "instant"},
		{"interval", "'1 year 2 months -3 days 04:05:06.7'", "P1Y2M-3DT4H5M6.7S", "interval"},
		{"interval", "'-1 year +2 days -03:04:05.6'", "P-1Y2DT-3H-4M-5.6S", "interval"},
		{"interval", "'0'", "PT0S", "interval"},
		{"interval", "'178000000 years'", "P178000000Y", "interval"},

		// Documents.
		{"json", `' {"b" : 1.50, "a": [1, 2], "b": "x  y"} '`, `{"b":1.50,"a":[1,2],"b":"x  y"}`, "json"},
		{"json", `E'[1e400,\n"\\u0000 \\ud83d"\t]'`, `[1e400,"\u0000 \ud83d"]`, "json"},
		{"jsonb", `'{"b": 1.50, "a": "x, \"y\""}'`, `{"a":"x, \"y\"","b":1.50}`, "json"},
		{"jsonb", `'null'`, `null`, "json"},
		{"jsonb", `'""'`, `""`, "json"},
		{"jsonpath", "'$.a[*] ? (@.b > 1)'", `$."a"[*]?(@."b" > 1)`, "text"},
		{"punto", `ROW(1, 'a,"b"')`, `{"x":1,"nota":"a,\"b\""}`, "json"},
		{"punto", `ROW(NULL, NULL)`, `{"x":null,"nota":null}`, "json"},
		{"viaje", `ROW('Lima', ARRAY[ROW(1, 'a')::punto, NULL], '-infinity', '{"k": [1, 2]}', '\x00', 'NaN', '0044-03-15 BC')`,
			`{"nombre":"Lima","puntos":[{"x":1,"nota":"a"},null],"desde":"-infinity","datos":{"k":[1,2]},"foto":"\\x00","largo":"NaN","hasta":"0044-03-15 BC"}`, "json"},
		{"hstore", `'a=>1, "b c"=>NULL, d=>"x \"y\""'`, `{"a":"1","d":"x \"y\"","b c":null}`, "json"},

		// Arrays.
		{"integer[]", "'{1,NULL,3}'", "[1,null,3]", "json"},
		{"integer[]", "'{}'", "[]", "json"},
		{"integer[]", "'[-1:1]={1,2,3}'", "[1,2,3]", "json"},
		{"integer[][]", "'{{1,NULL},{3,4}}'", "[[1,null],[3,4]]", "json"},
		{"bigint[]", "'{9223372036854775807,-9223372036854775808}'", "[9223372036854775807,-9223372036854775808]", "json"},
		{"numeric[]", "'{1.50,NaN,Infinity,-Infinity}'", `[1.50,"NaN","Infinity","-Infinity"]`, "json"},
		{"double precision[]", "'{0.1,-0,NaN,Infinity,-Infinity,1e15}'", `[0.1,-0,"NaN","Infinity","-Infinity",1e+15]`, "json"},
		{"money[]", "ARRAY[1.5, NULL, -1234567.89]::numeric[]::money[]", "[1.50,null,-1234567.89]", "json"},
		{"oid[]", "'{4294967295}'", `["4294967295"]`, "json"},
		{"boolean[]", "'{t,f,NULL}'", "[true,false,null]", "json"},
		{"text[][]", `'{{"a,b","c\"d"},{"",NULL}}'`, `[["a,b","c\"d"],["",null]]`, "json"},
		{"char(3)[]", "'{a}'", `["a  "]`, "json"},
		{"animo[]", `'{"feliz, muy"}'`, `["feliz, muy"]`, "json"},
		{"bytea[]", `ARRAY['\x00ff'::bytea, '', NULL]`, `["\\x00ff","\\x",null]`, "json"},
		{"uuid[]", "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", `["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]`, "json"},
		{"date[]", "'{2025-01-02,infinity,-infinity,0044-03-15 BC}'", `["2025-01-02","infinity","-infinity","0044-03-15 BC"]`, "json"},
		{"time[]", "'{24:00:00}'", `["24:00:00"]`, "json"},
		{"timetz[]", "'{12:00:00-05:30}'", `["12:00:00-05:30"]`, "json"},
		{"timestamp[]", "'{2025-01-02 03:04:05.12,infinity,0044-03-15 12:00:00 BC}'", `["2025-01-02T03:04:05.12","infinity","0044-03-15T12:00:00 BC"]`, "json"},
		{"timestamptz[]", "'{2025-01-02 03:04:05-05,-infinity,0044-03-15 12:00:00+00 BC}'",
			`["2025-01-02T08:04:05+00:00","-infinity","0044-03-15T12:00:00+00:00 BC"]`, "json"},
		{"interval[]", "'{-1 day 02:00}'", `["P-1DT2H"]`, "json"},
		{"bit(2)[]", "'{01}'", `["01"]`, "json"},
		{"json[]", `ARRAY['{"a" : 1.50}', ' [1, 2] ', NULL]::json[]`, `[{"a":1.50},[1,2],null]`, "json"},
		{"jsonb[]", `ARRAY['{"a": 1}', '[1, 2]', 'null']::jsonb[]`, `[{"a":1},[1,2],null]`, "json"},
		{"xml[]", `ARRAY['<a b="1"/>']::xml[]`, `["<a b=\"1\"/>"]`, "json"},
		{"punto[]", `ARRAY[ROW(1, 'a'), NULL]::punto[]`, `[{"x":1,"nota":"a"},null]`, "json"},
		{"hstore[]", `ARRAY['a=>1', 'b=>NULL']::hstore[]`, `[{"a":"1"},{"b":null}]`, "json"},
		{"int4range[]", `'{"[1,5)",empty}'`, `["[1,5)","empty"]`, "json"},
		{"point[]", `'{"(1,2)"}'`, `["(1,2)"]`, "json"},
		{"inet[]", "'{10.0.0.1}'", `["10.0.0.1"]`, "json"},
		{"int2vector", "'1 2'", "[1,2]", "json"},
		{"oidvector", "'1 2'", `["1","2"]`, "json"},

		// Domains.
		{"positivo", "7", "7", "integer"},
		{"activo", "false", "false", "boolean"},
		{"precio", "(-1.5)::numeric::money", "-1.50", "decimal"},
		{"enteros", "'{1,2}'", "[1,2]", "json"},
		{"lugar", `ROW(1, 'a')`, `{"x":1,"nota":"a"}`, "json"},
		{"positivo[]", "'{7,NULL}'", "[7,null]", "json"},
		{"lugar[]", "ARRAY[ROW(1, 'a')::lugar]", `[{"x":1,"nota":"a"}]`, "json"},

		// Types that have the name of another schema's.
		{"otro.money", "'caro'", "caro", "text"},
		{"otro.int4", `ROW(1)`, `{"x":1}`, "json"},

		// Ranges.
		{"int4range", "'[1,5]'", "[1,6)", "text"},
		{"int8range", "'(,5)'", "(,5)", "text"},
		{"numrange", "'(1.50,2.5]'", "(1.50,2.5]", "text"},
		{"daterange", "'[2025-01-01,infinity]'", "[2025-01-01,infinity]", "text"},
		{"tsrange", "'[2025-01-01 00:00:00.5,)'", `["2025-01-01 00:00:00.5",)`, "text"},
		{"tstzrange", "'[2025-01-01 00:00:00-05,2025-01-02 00:00:00-05)'", `["2025-01-01 05:00:00+00","2025-01-02 05:00:00+00")`, "text"},
		{"int4range", "'empty'", "empty", "text"},
		{"flotantes", "'[0.1,Infinity)'", "[0.1,Infinity)", "text"},
		{"int4multirange", "'{[1,3),[5,8)}'", "{[1,3),[5,8)}", "text"},
		{"int8multirange", "'{}'", "{}", "text"},
		{"nummultirange", "'{[1.50,2.5]}'", "{[1.50,2.5]}", "text"},
		{"datemultirange", "'{[2025-01-01,2025-01-03)}'", "{[2025-01-01,2025-01-03)}", "text"},
		{"tsmultirange", "'{[2025-01-01,2025-01-03)}'", `{["2025-01-01 00:00:00","2025-01-03 00:00:00")}`, "text"},
		{"tstzmultirange", "'{[2025-01-01 00:00:00-05,)}'", `{["2025-01-01 05:00:00+00",)}`, "text"},

		// Addresses.
		{"inet", "'10.0.0.1/8'", "10.0.0.1/8", "text"},
		{"inet", "'::ffff:1.2.3.4'", "::ffff:1.2.3.4", "text"},
		{"cidr", "'10.0.0.0/8'", "10.0.0.0/8", "text"},
		{"macaddr", "'08:00:2B:01:02:03'", "08:00:2b:01:02:03", "text"},
		{"macaddr8", "'08:00:2b:01:02:03:04:05'", "08:00:2b:01:02:03:04:05", "text"},

		// Geometry.
		{"point", "'(1,0.1)'", "(1,0.1)", "text"},
		{"line", "'{1,-1,0}'", "{1,-1,0}", "text"},
		{"lseg", "'[(0,0),(1,1)]'", "[(0,0),(1,1)]", "text"},
		{"box", "'(0,0),(1,1)'", "(1,1),(0,0)", "text"},
		{"path", "'((0,0),(1,1))'", "((0,0),(1,1))", "text"},
		{"polygon", "'((0,0),(1,1),(1,0))'", "((0,0),(1,1),(1,0))", "text"},
		{"circle", "'<(0,0),1e-7>'", "<(0,0),1e-07>", "text"},

		// Search.
		{"tsvector", "$$'a,b':1A 'c':2$$", "'a,b':1A 'c':2", "text"},
		{"tsquery", "'a & !b'", "'a' & !'b'", "text"},
		{"gtsvector", "NULL", "", "text"},

		// Extensions that most servers have.
		{"citext", "'ÑandÚ'", "ÑandÚ", "text"},
		{"ltree", "'a.b_c'", "a.b_c", "text"},
		{"lquery", "'a.*{1,2}'", "a.*{1,2}", "text"},
		{"ltxtquery", "'a & b'", "a & b", "text"},
		{"ghstore", "NULL", "", "text"},
		{"ltree_gist", "NULL", "", "text"},

		// The server's own affairs.
		{"pg_lsn", "'16/B374D848'", "16/B374D848", "text"},
		{"txid_snapshot", "'10:20:10,14,15'", "10:20:10,14,15", "text"},
		{"pg_snapshot", "'10:20:10,14,15'", "10:20:10,14,15", "text"},
		{"tid", "'(1,2)'", "(1,2)", "text"},
		{"regclass", "'tipos'", "tipos", "text"},
		{"regcollation", `'"C"'`, `"C"`, "text"},
		{"regconfig", "'simple'", "simple", "text"},
		{"regdictionary", "'simple'", "simple", "text"},
		{"regnamespace", "'otro'", "otro", "text"},
		{"regoper", "'pg_catalog.||/'", "||/", "text"},
		{"regoperator", "'*(int4,int4)'", "*(integer,integer)", "text"},
		{"regproc", "'txid_current'", "txid_current", "text"},
		{"regprocedure", "'sum(int4)'", "sum(integer)", "text"},
		{"regrole", "'pg_monitor'", "pg_monitor", "text"},
		{"regtype", "'otro.money'", "otro.money", "text"},
		{"regclass", "4294967295", "4294967295", "text"},
		{"refcursor", "'c1'", "c1", "text"},
		{"aclitem", "'pg_monitor=r/pg_monitor'", "pg_monitor=r/pg_monitor", "text"},
		{"pg_node_tree", "(SELECT adbin FROM pg_attrdef WHERE adrelid = 'con_defecto'::regclass)", "", "text"},
		{"pg_ndistinct", "(SELECT stxdndistinct FROM pg_statistic_ext_data LIMIT 1)", `{"1, 2": 10}`, "text"},
		{"pg_dependencies", "(SELECT stxddependencies FROM pg_statistic_ext_data LIMIT 1)", `{"1 => 2": 1.000000, "2 => 1": 1.000000}`, "text"},
		{"pg_mcv_list", "(SELECT stxdmcv FROM pg_statistic_ext_data LIMIT 1)", "", "text"},
		{"pg_brin_bloom_summary", "NULL", "", "text"},
		{"pg_brin_minmax_multi_summary", "NULL", "", "text"},
	}
}

// typesMade are the types that the table of types needs, and what its values are taken from.
var typesMade = []string{
	"CREATE EXTENSION hstore", "CREATE EXTENSION citext", "CREATE EXTENSION ltree",
	"CREATE TYPE animo AS ENUM ('feliz, muy')",
	"CREATE TYPE punto AS (x int, nota text)",
	"CREATE TYPE viaje AS (nombre text, puntos punto[], desde timestamptz, datos jsonb, foto bytea, largo numeric, hasta date)",
	"CREATE TYPE flotantes AS RANGE (subtype = float8, subtype_diff = float8mi)",
	"CREATE DOMAIN entero AS int",
	"CREATE DOMAIN positivo AS entero CHECK (VALUE > 0)",
	"CREATE DOMAIN activo AS boolean",
	"CREATE DOMAIN precio AS money",
	"CREATE DOMAIN enteros AS int[]",
	"CREATE DOMAIN lugar AS punto",
	"CREATE SCHEMA otro",
	"CREATE TYPE otro.money AS ENUM ('caro')",
	"CREATE TYPE otro.int4 AS (x int)",
	"CREATE TABLE con_defecto (a int DEFAULT 1, b int)",
	"CREATE STATISTICS sobre_ambas (ndistinct, dependencies, mcv) ON a, b FROM con_defecto",
	"INSERT INTO con_defecto SELECT i % 10, i % 10 FROM generate_series(1, 1000) i",
	"ANALYZE con_defecto",
}

// fillTypes makes the table tipos with a column for each of the rows of the type table: one row has
// the values, the other one NULLs.
func fillTypes(t *testing.T, s *server, all []typed) {
	t.Helper()
	for _, statement := range typesMade {
		must(t, s.admin, statement)
	}
	must(t, s.admin, "GRANT USAGE ON SCHEMA otro TO "+s.reader)
	columns, values := []string{"id int"}, []string{"1"}
	for i, test := range all {
		columns = append(columns, fmt.Sprintf("c%d %s", i, test.columnType))
		values = append(values, test.value)
	}
	must(t, s.admin, "CREATE TABLE tipos ("+strings.Join(columns, ", ")+")")
	must(t, s.admin, "INSERT INTO tipos VALUES ("+strings.Join(values, ", ")+")")
	must(t, s.admin, "INSERT INTO tipos (id) VALUES (2)")
}

// TestTypes has one column for each row of the type table, and reads it from the table and from a
// query.
func TestTypes(t *testing.T) {
	s := newServer(t)
	all := typeTable()
	fillTypes(t, s, all)
	for _, d := range []catalog.Dataset{
		{Name: "tipos", Table: "tipos"},
		{Name: "tipos", Query: "SELECT *, 1 AS b, 2 AS b FROM tipos ORDER BY id -- todo"},
	} {
		extraction, tally, records := extracttest.Export(t, s.source(t, extracttest.Granted), d)
		if tally.Rows != 2 || len(records) != 2 {
			t.Fatalf("got %d rows, want two", len(records))
		}
		for i, test := range all {
			t.Run(test.columnType+" "+test.value, func(t *testing.T) {
				got, column := records[0][i+1], extraction.Columns[i+1]
				switch {
				case test.value == "NULL":
					if !got.Null {
						t.Errorf("got %v, want NULL", got)
					}
				case test.want == "" && strings.HasPrefix(test.value, "("):
					// What is in there is the server's own affair; it has to be what the server shows of it.
					var want string
					if err := s.admin.QueryRow(t.Context(), fmt.Sprintf("SELECT c%d::text FROM tipos WHERE id = 1", i)).Scan(&want); err != nil || got.Text != want || want == "" {
						t.Errorf("got %.200v, want %.200q (%v)", got, want, err)
					}
				case got != extracttest.Field{Text: test.want}:
					t.Errorf("got %v, want %q", got, test.want)
				}
				if null := records[1][i+1]; !null.Null {
					t.Errorf("got %v for NULL", null)
				}
				if column.Type != test.fileType {
					t.Errorf("the type in the file is %q, want %q", column.Type, test.fileType)
				}
				// Of a query the server tells what a domain is based on.
				if want := canonicalType(t, s, i); column.SourceType != want && (d.Table != "" || column.SourceType == "") {
					t.Errorf("the source type is %q, want %q", column.SourceType, want)
				}
			})
		}
	}
}

// canonicalType returns the type of a column of the table tipos as the server spells it.
func canonicalType(t *testing.T, s *server, column int) (spelled string) {
	t.Helper()
	err := s.admin.QueryRow(t.Context(), "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'tipos'::regclass AND attname = $1",
		fmt.Sprintf("c%d", column)).Scan(&spelled)
	if err != nil {
		t.Fatal(err)
	}
	return spelled
}

// TestTypesAreAll looks for types that a column can have and the type table does not.
func TestTypesAreAll(t *testing.T) {
	s := newServer(t)
	fillTypes(t, s, typeTable())
	rows, err := s.admin.Query(t.Context(), `
		SELECT format_type(oid, NULL) FROM pg_type
		WHERE typtype IN ('b', 'r', 'm') AND typisdefined
			AND NOT (typcategory = 'A' AND EXISTS (SELECT FROM pg_type e WHERE e.typarray = pg_type.oid))
			AND oid NOT IN (SELECT atttypid FROM pg_attribute WHERE attrelid = 'tipos'::regclass)
			-- The multirange of a range that was made for the table of types.
			AND oid NOT IN (SELECT rngmultitypid FROM pg_range WHERE rngtypid = 'flotantes'::regtype)
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(missing) > 0 {
		t.Errorf("the type table lacks %q (%v)", missing, err)
	}
}

// TestTypesInArrays makes an array of each value of the type table, wherever the server has arrays of
// its type, with a NULL beside it.
func TestTypesInArrays(t *testing.T) {
	s := newServer(t)
	all := typeTable()
	fillTypes(t, s, all)
	var lists []string
	var of []typed
	for i, test := range all {
		var array bool
		if err := s.admin.QueryRow(t.Context(), "SELECT typarray <> 0 AND typcategory <> 'A' FROM pg_type JOIN pg_attribute ON atttypid = pg_type.oid WHERE attrelid = 'tipos'::regclass AND attname = $1",
			fmt.Sprintf("c%d", i)).Scan(&array); err != nil {
			t.Fatal(err)
		}
		if array {
			lists, of = append(lists, fmt.Sprintf("ARRAY[c%d, NULL] AS c%d", i, i)), append(of, test)
		}
	}
	d := catalog.Dataset{Name: "listas", Query: "SELECT " + strings.Join(lists, ", ") + " FROM tipos WHERE id = 1"}
	extraction, _, records := extracttest.Export(t, s.source(t, extracttest.Granted), d)
	for i, test := range of {
		field := records[0][i].Text
		var elements []json.RawMessage
		if err := json.Unmarshal([]byte(field), &elements); err != nil || len(elements) != 2 || string(elements[1]) != "null" {
			t.Errorf("%s %s: an array of it is %s (%v), want two elements, the last one null", test.columnType, test.value, field, err)
			continue
		}
		if extraction.Columns[i].Type != ingest.TypeJSON {
			t.Errorf("%s: an array of it is of type %s in the file, want json", test.columnType, extraction.Columns[i].Type)
		}
		var text string
		switch err := json.Unmarshal(elements[0], &text); {
		case test.value == "NULL", test.want == "":
		case test.fileType == "json": // itself, as a document within the array
			if string(elements[0]) != test.want {
				t.Errorf("%s %s: within an array it is %s, want %s", test.columnType, test.value, elements[0], test.want)
			}
		case test.fileType == "timestamp", test.fileType == "instant": // spelled as ISO 8601 wants it
		case err != nil && string(elements[0]) != test.want, err == nil && text != test.want:
			t.Errorf("%s %s: within an array it is %s, want %s", test.columnType, test.value, elements[0], test.want)
		}
	}
}

// TestTypesWhateverIsSet changes every setting of the login that spells values otherwise.
func TestTypesWhateverIsSet(t *testing.T) {
	s := newServer(t)
	fillTypes(t, s, typeTable())
	tipos := catalog.Dataset{Name: "tipos", Table: "tipos"}
	_, _, want := extracttest.Export(t, s.source(t, extracttest.Granted), tipos)
	for _, setting := range []string{
		"client_encoding = 'LATIN1'", "TimeZone = 'America/Lima'", "DateStyle = 'German, DMY'", "IntervalStyle = 'sql_standard'",
		"extra_float_digits = -15", "bytea_output = 'escape'", "quote_all_identifiers = on", "standard_conforming_strings = off",
		"xmlbinary = hex", "xmloption = document", "array_nulls = off", "default_transaction_read_only = off",
		"default_transaction_isolation = 'read committed'", "jit_above_cost = 0", "search_path = pg_catalog, public",
	} {
		must(t, s.admin, "ALTER ROLE "+s.reader+" SET "+setting)
		_, _, got := extracttest.Export(t, s.source(t, extracttest.Granted), tipos)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with %s the file is another one", setting)
		}
		must(t, s.admin, "ALTER ROLE "+s.reader+" RESET ALL")
	}
}

// TestOtherEncodings reads text of a database that does not keep it in UTF-8.
func TestOtherEncodings(t *testing.T) {
	s := newServer(t)
	latin := s.config.Database + "_latin1"
	must(t, s.admin, "CREATE DATABASE "+latin+" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
	t.Cleanup(func() { must(t, s.admin, "DROP DATABASE "+latin+" WITH (FORCE)") })
	cfg := s.admin.Config().Copy()
	cfg.Database = latin
	admin, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	must(t, admin, "SET client_encoding = 'UTF8'") // for what this test sends
	must(t, admin, `CREATE TABLE textos ("año" text, lista text[])`)
	must(t, admin, "INSERT INTO textos VALUES ('Ñandú ¿5 mg?', ARRAY['é'])")
	must(t, admin, "GRANT SELECT ON textos TO "+s.reader)
	s.config.Database = latin
	extraction, _, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{Name: "textos", Table: "textos"})
	if got, want := fmt.Sprint(extraction.Columns[0].Name, records), `año[["Ñandú ¿5 mg?" "[\"é\"]"]]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRecords reads rows that have no type of their own, which only queries have.
func TestRecords(t *testing.T) {
	s := newServer(t)
	_, _, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{
		Name: "filas", Query: "SELECT ROW(1, 'a') AS fila, ARRAY[ROW(1, 'a')] AS filas, NULL AS nada, 'x' AS algo",
	})
	if got, want := fmt.Sprint(records), `[["{\"f1\":1,\"f2\":\"a\"}" "[{\"f1\":1,\"f2\":\"a\"}]" NULL "x"]]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestJSONBesideOthers checks that compacting one column leaves the others as they were.
func TestJSONBesideOthers(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE mezcla (id int, a text, b jsonb, c text, d json)")
	must(t, s.admin, `INSERT INTO mezcla VALUES
		(1, E'x, "y"\n', '{"k": "v, \"w\""}', '', ' [ ] '), (2, '', NULL, NULL, '{"a" : 1}'), (3, NULL, '1', '"', NULL)`)
	extraction, tally, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{Name: "mezcla", Table: "mezcla"})
	want := `[["1" "x, \"y\"\n" "{\"k\":\"v, \\\"w\\\"\"}" "" "[]"] ["2" "" NULL NULL "{\"a\":1}"] ["3" NULL "1" "\"" NULL]]`
	if got := fmt.Sprint(records); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if tally.Rows != 3 || len(tally.Warnings) != 0 {
		t.Errorf("got %d rows and the warnings %q, want 3 and none", tally.Rows, tally.Warnings)
	}
	if got := extraction.Columns[2].SourceType; got != "jsonb" {
		t.Errorf("the source type is %q, want jsonb", got)
	}
}

// TestOffers runs the built-in catalog's query that joins offers with their details.
func TestOffers(t *testing.T) {
	built, err := catalog.Load("")
	if err != nil {
		t.Fatal(err)
	}
	database, _ := built.Database("postgresql")
	offers, ok := database.Dataset("ofertas")
	if !ok {
		t.Fatal("the built-in catalog has no dataset ofertas")
	}
	s := newServer(t)
	for _, statement := range []string{
		"CREATE TABLE productos (id serial PRIMARY KEY, nombre varchar(255))",
		"CREATE TABLE ofertas (id serial PRIMARY KEY, fecha_vencimiento timestamp, fecha_creacion timestamp, fecha_actualizacion timestamp)",
		"CREATE TABLE ofertas_detalle (id serial PRIMARY KEY, oferta_id int, producto_id int, descuento double precision)",
		"INSERT INTO productos VALUES (1, 'Ibuprofeno'), (2, 'Loratadina')",
		"INSERT INTO ofertas VALUES (2, NULL, NULL, NULL), (1, '2025-01-02', '2025-01-01', NULL)",
		"INSERT INTO ofertas_detalle VALUES (12, 1, 2, 0.5), (11, 1, 1, 10), (13, 1, 99, NULL)",
	} {
		must(t, s.admin, statement)
	}
	extraction, tally, records := extracttest.Export(t, s.source(t, extracttest.Granted), offers)
	dates := `"2025-01-02 00:00:00" "2025-01-01 00:00:00" NULL`
	want := `[["1" ` + dates + ` "11" "1" "Ibuprofeno" "10"] ["1" ` + dates + ` "12" "2" "Loratadina" "0.5"] ` +
		`["1" ` + dates + ` "13" "99" NULL NULL] ["2" NULL NULL NULL NULL NULL NULL NULL]]`
	if got := fmt.Sprint(records); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if tally.Rows != 4 || extraction.EstimatedRows < 1 {
		t.Errorf("got %d rows and an estimate of %d, want 4 and some", tally.Rows, extraction.EstimatedRows)
	}
	if got := extraction.Columns[6].SourceType; got != "character varying(255)" {
		t.Errorf("the source type of producto_nombre is %q, want character varying(255)", got)
	}
}
