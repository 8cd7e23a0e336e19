package postgresql

import (
	"fmt"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// TestTypes inserts one value into a column of each type and reads it back, from the table and
// from a query.
func TestTypes(t *testing.T) {
	tests := []struct {
		columnType string
		value      string // SQL
		want       string
		fileType   string
	}{
		{"smallint", "-32768", "-32768", "integer"},
		{"bigint", "9223372036854775807", "9223372036854775807", "integer"},
		{"oid", "4294967295", "4294967295", "integer"},
		{"numeric", "'NaN'", "NaN", "decimal"},
		{"numeric", "1e120 + 0.000000000000000000000001", "1" + fmt.Sprintf("%0120d", 0) + ".000000000000000000000001", "decimal"},
		{"numeric(10,2)", "-1.50", "-1.50", "decimal"},
		{"money", "-1234567.89::numeric", "-1234567.89", "decimal"},
		{"real", "0.1", "0.1", "float"},
		{"real", "16777216", "1.6777216e+07", "float"},
		{"double precision", "1.0/3", "0.3333333333333333", "float"},
		{"double precision", "'-Infinity'", "-Infinity", "float"},
		{"double precision", "1e15", "1e+15", "float"},
		{"boolean", "true", "true", "boolean"},
		{"text", `E'a,"b"\n'`, "a,\"b\"\n", "text"},
		{"char(5)", "'ab'", "ab   ", "text"},
		{"animo", "'feliz, muy'", "feliz, muy", "text"},
		{"bytea", `'\x00ff'`, `\x00ff`, "binary"},
		{"date", "'0044-03-15 BC'", "0044-03-15 BC", "date"},
		{"date", "'infinity'", "infinity", "date"},
		{"time", "'24:00:00'", "24:00:00", "time"},
		{"timetz", "'12:00:00.500-05'", "12:00:00.5-05", "time"},
		{"timestamp", "'2025-01-02 03:04:05.120000'", "2025-01-02 03:04:05.12", "timestamp"},
		{"timestamp", "'12345-01-02 00:00:00'", "12345-01-02 00:00:00", "timestamp"},
		{"timestamptz", "'2025-01-02 03:04:05.12-05'", "2025-01-02 08:04:05.12+00", "instant"},
		{"timestamptz", "'-infinity'", "-infinity", "instant"},
		{"interval", "'1 year 2 months -3 days 04:05:06.7'", "P1Y2M-3DT4H5M6.7S", "interval"},
		{"uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid"},
		{"bit(4)", "B'0101'", "0101", "bits"},
		{"json", `' {"b" : 1.50, "a": [1, 2], "b": "x  y"} '`, `{"b":1.50,"a":[1,2],"b":"x  y"}`, "json"},
		{"jsonb", `'{"b": 1.50, "a": "x, \"y\""}'`, `{"a":"x, \"y\"","b":1.50}`, "json"},
		{"jsonb", `'null'`, `null`, "json"},
		{"jsonb", `'""'`, `""`, "json"},
		{"integer[]", "'{1,NULL,3}'", "[1,null,3]", "json"},
		{"integer[]", "'{}'", "[]", "json"},
		{"text[][]", `'{{"a,b","c\"d"},{"e","f"}}'`, `[["a,b","c\"d"],["e","f"]]`, "json"},
		{"boolean[]", "'{t,f}'", "[true,false]", "json"},
		{"jsonb[]", `ARRAY['{"a": 1}', '[1, 2]']::jsonb[]`, `[{"a":1},[1,2]]`, "json"},
		{"timestamptz[]", "'{2025-01-02 03:04:05-05}'", `["2025-01-02T08:04:05+00:00"]`, "json"},
		{"punto", `ROW(1, 'a,"b"')`, `{"x":1,"nota":"a,\"b\""}`, "json"},
		{"int4range", "'[1,5)'", "[1,5)", "text"},
		{"inet", "'10.0.0.1'", "10.0.0.1", "text"},
		{"macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03", "text"},
		{"point", "'(1,2)'", "(1,2)", "text"},
		{"xml", "'<a b=\"1\"/>'", `<a b="1"/>`, "text"},
		{"tsvector", "'b a'::tsvector", "'a' 'b'", "text"},
		{"positivo", "7", "7", "integer"},
		{"activo", "false", "false", "boolean"},
		{"enteros", "'{1,2}'", "[1,2]", "json"},
		{"int2vector", "'1 2'", "[1,2]", "json"},
	}
	s := newServer(t)
	for _, statement := range []string{
		"CREATE TYPE animo AS ENUM ('feliz, muy')",
		"CREATE TYPE punto AS (x int, nota text)",
		"CREATE DOMAIN entero AS int",
		"CREATE DOMAIN positivo AS entero CHECK (VALUE > 0)",
		"CREATE DOMAIN activo AS boolean",
		"CREATE DOMAIN enteros AS int[]",
	} {
		must(t, s.admin, statement)
	}
	for _, test := range tests {
		t.Run(test.columnType+" "+test.value, func(t *testing.T) {
			must(t, s.admin, "CREATE TABLE tipo (id serial, a "+test.columnType+")")
			defer must(t, s.admin, "DROP TABLE tipo")
			must(t, s.admin, "INSERT INTO tipo (a) VALUES ("+test.value+"), (NULL)")
			column := []catalog.Column{{Name: "a"}}
			for _, d := range []catalog.Dataset{
				{Name: "tipo", Table: "tipo", Columns: column},
				{Name: "tipo", Query: "SELECT a, 1 AS b, 2 AS b FROM tipo ORDER BY id -- todo", Columns: column},
			} {
				extraction, tally, records := extracttest.Export(t, s.source(t, extracttest.Granted), d)
				if tally.Rows != 2 || len(records) != 2 {
					t.Fatalf("got %d rows and %v, want two", tally.Rows, records)
				}
				if got := records[0][0]; got != (extracttest.Field{Text: test.want}) {
					t.Errorf("got %v, want %q", got, test.want)
				}
				if !records[1][0].Null {
					t.Errorf("got %v for NULL", records[1][0])
				}
				if got := extraction.Columns[0].Type; got != test.fileType {
					t.Errorf("the type in the file is %q, want %q", got, test.fileType)
				}
				if extraction.Columns[0].SourceType == "" {
					t.Error("the column has no source type")
				}
				if len(tally.Warnings) != 1 {
					t.Errorf("got the warnings %q, want one of the empty line", tally.Warnings)
				}
			}
		})
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
