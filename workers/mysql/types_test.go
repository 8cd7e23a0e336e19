package mysql

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// typeCase is one value of a column type and what becomes of it.
type typeCase struct {
	column string // its type, in SQL
	value  string // SQL
	want   string // in the file, of a table; null is NULL
	file   string // type in the file
	query  string // in the file, of a query; empty: the same
	only   string // the only server that has it: mariadb or mysql; empty: both
}

const null = "NULL"

// typeCases has at least one case of every type of MySQL 8 to 9.7 and MariaDB 10.6 to 10.11.
var typeCases = []typeCase{
	{column: "boolean", value: "1", want: "true", file: ingest.TypeBoolean, query: "1"},
	{column: "boolean", value: "0", want: "false", file: ingest.TypeBoolean, query: "0"},
	{column: "tinyint(1)", value: "7", want: "7", file: ingest.TypeBoolean},
	{column: "tinyint(1)", value: "-1", want: "-1", file: ingest.TypeBoolean},
	{column: "tinyint(1) unsigned", value: "1", want: "1", file: ingest.TypeInteger},
	{column: "tinyint", value: "-128", want: "-128", file: ingest.TypeInteger},
	{column: "tinyint unsigned", value: "255", want: "255", file: ingest.TypeInteger},
	{column: "tinyint(3) zerofill", value: "7", want: "7", file: ingest.TypeInteger},
	{column: "smallint", value: "-32768", want: "-32768", file: ingest.TypeInteger},
	{column: "smallint unsigned", value: "65535", want: "65535", file: ingest.TypeInteger},
	{column: "mediumint", value: "-8388608", want: "-8388608", file: ingest.TypeInteger},
	{column: "mediumint unsigned", value: "16777215", want: "16777215", file: ingest.TypeInteger},
	{column: "int", value: "-2147483648", want: "-2147483648", file: ingest.TypeInteger},
	{column: "int unsigned", value: "4294967295", want: "4294967295", file: ingest.TypeInteger},
	{column: "int(6) zerofill", value: "42", want: "42", file: ingest.TypeInteger},
	{column: "int(6) zerofill", value: "0", want: "0", file: ingest.TypeInteger},
	{column: "bigint", value: "-9223372036854775808", want: "-9223372036854775808", file: ingest.TypeInteger},
	{column: "bigint", value: "9223372036854775807", want: "9223372036854775807", file: ingest.TypeInteger},
	{column: "bigint unsigned", value: "18446744073709551615", want: "18446744073709551615", file: ingest.TypeInteger},
	{column: "bigint(20) zerofill", value: "18446744073709551615", want: "18446744073709551615", file: ingest.TypeInteger},
	{column: "bit(1)", value: "b'1'", want: "1", file: ingest.TypeInteger},
	{column: "bit(1)", value: "b'0'", want: "0", file: ingest.TypeInteger},
	{column: "bit(10)", value: "b'1000000001'", want: "513", file: ingest.TypeInteger},
	{column: "bit(64)", value: "0xffffffffffffffff", want: "18446744073709551615", file: ingest.TypeInteger},
	{column: "year", value: "1901", want: "1901", file: ingest.TypeInteger},
	{column: "year", value: "2155", want: "2155", file: ingest.TypeInteger},
	{column: "year", value: "'0000'", want: "0", file: ingest.TypeInteger},

	{column: "decimal(65,30)", value: "12345678901234567890123456789012345.123456789012345678901234567890", want: "12345678901234567890123456789012345.123456789012345678901234567890", file: ingest.TypeDecimal},
	{column: "decimal(65,30)", value: "-99999999999999999999999999999999999.999999999999999999999999999999", want: "-99999999999999999999999999999999999.999999999999999999999999999999", file: ingest.TypeDecimal},
	{column: "decimal(65,30)", value: "0.000000000000000000000000000001", want: "0.000000000000000000000000000001", file: ingest.TypeDecimal},
	{column: "decimal(65,0)", value: "99999999999999999999999999999999999999999999999999999999999999999", want: "99999999999999999999999999999999999999999999999999999999999999999", file: ingest.TypeDecimal},
	{column: "decimal(30,30)", value: "0.5", want: "0.500000000000000000000000000000", file: ingest.TypeDecimal},
	{column: "decimal(10,2)", value: "-0.50", want: "-0.50", file: ingest.TypeDecimal},
	{column: "decimal(10,2)", value: "-0.00", want: "0.00", file: ingest.TypeDecimal},
	{column: "decimal(10,2) unsigned zerofill", value: "0.5", want: "0.50", file: ingest.TypeDecimal},
	{column: "decimal(5,0) unsigned zerofill", value: "0", want: "0", file: ingest.TypeDecimal},
	{column: "numeric(5,1)", value: "1000.5", want: "1000.5", file: ingest.TypeDecimal},

	{column: "float", value: "0.1", want: "0.1", file: ingest.TypeFloat},
	{column: "float", value: "16777216", want: "1.6777216e+07", file: ingest.TypeFloat},
	{column: "float", value: "-3.40282346e38", want: "-3.4028235e+38", file: ingest.TypeFloat},
	{column: "float", value: "1.17549435e-38", want: "1.1754944e-38", file: ingest.TypeFloat},
	{column: "float", value: "123456.79", want: "123456.79", file: ingest.TypeFloat},
	{column: "float unsigned zerofill", value: "1.5", want: "1.5", file: ingest.TypeFloat},
	{column: "float(7,4)", value: "0.1", want: "0.1", file: ingest.TypeFloat},
	{column: "float(10,1)", value: "123456.789", want: "123456.8", file: ingest.TypeFloat},
	{column: "float(53)", value: "0.1", want: "0.1", file: ingest.TypeFloat},
	{column: "double", value: "0.1", want: "0.1", file: ingest.TypeFloat},
	{column: "double", value: "-1.7976931348623157e308", want: "-1.7976931348623157e+308", file: ingest.TypeFloat},
	{column: "double", value: "2.2250738585072014e-308", want: "2.2250738585072014e-308", file: ingest.TypeFloat},
	{column: "double", value: "123456789012345678", want: "1.2345678901234568e+17", file: ingest.TypeFloat},
	{column: "double", value: "999999999999999", want: "999999999999999", file: ingest.TypeFloat},
	{column: "double", value: "1e15", want: "1e+15", file: ingest.TypeFloat},
	{column: "double", value: "0.0001", want: "0.0001", file: ingest.TypeFloat},
	{column: "double", value: "0.00001", want: "1e-05", file: ingest.TypeFloat},
	{column: "double unsigned zerofill", value: "1.5", want: "1.5", file: ingest.TypeFloat},
	{column: "double(8,3)", value: "1.5", want: "1.5", file: ingest.TypeFloat},
	{column: "double(53,30)", value: "0.1", want: "0.1", file: ingest.TypeFloat},

	{column: "char(5)", value: "'ab'", want: "ab", file: ingest.TypeText},
	{column: "char(5)", value: "'ab   '", want: "ab", file: ingest.TypeText},
	{column: "char(0)", value: "''", want: "", file: ingest.TypeText},
	{column: "varchar(20)", value: `'a,"b"'`, want: `a,"b"`, file: ingest.TypeText},
	{column: "varchar(20)", value: "'ab  '", want: "ab  ", file: ingest.TypeText},
	{column: "varchar(20)", value: "CONCAT(CHAR(9), 'a', CHAR(10), CHAR(13), CHAR(92), CHAR(39))", want: "\ta\n\r\\'", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET latin1", value: "'Ñandú €'", want: "Ñandú €", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET utf8mb3", value: "'Ñandú €'", want: "Ñandú €", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET ucs2", value: "'Ñandú €'", want: "Ñandú €", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET utf16", value: "'Ñandú 💊'", want: "Ñandú 💊", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET utf32", value: "'Ñandú 💊'", want: "Ñandú 💊", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET cp1251", value: "'Привет'", want: "Привет", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET sjis", value: "'日本語'", want: "日本語", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", value: "'Ñandú 💊'", want: "Ñandú 💊", file: ingest.TypeText},
	{column: "varchar(20) CHARACTER SET binary", value: "'ab'", want: `\x6162`, file: ingest.TypeBinary},
	{column: "national varchar(20)", value: "'Ñandú'", want: "Ñandú", file: ingest.TypeText},
	{column: "varchar(200) COMPRESSED", value: "REPEAT('Ñandú ', 30)", want: strings.Repeat("Ñandú ", 30), file: ingest.TypeText, only: "mariadb"},
	{column: "tinytext", value: "'💊'", want: "💊", file: ingest.TypeText},
	{column: "text", value: "'💊'", want: "💊", file: ingest.TypeText},
	{column: "text CHARACTER SET latin1", value: "'Ñ'", want: "Ñ", file: ingest.TypeText},
	{column: "text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", value: "'Ñ'", want: "Ñ", file: ingest.TypeText},
	{column: "text COMPRESSED", value: "REPEAT('Ñandú ', 3000)", want: strings.Repeat("Ñandú ", 3000), file: ingest.TypeText, only: "mariadb"},
	{column: "mediumtext", value: "''", want: "", file: ingest.TypeText},
	{column: "longtext", value: "REPEAT('ñ', 70000)", want: strings.Repeat("ñ", 70000), file: ingest.TypeText},
	{column: "enum('uno','dos','ñ,')", value: "'ñ,'", want: "ñ,", file: ingest.TypeText},
	{column: "enum('uno','')", value: "''", want: "", file: ingest.TypeText},
	{column: "enum('uno','dos')", value: "'tres'", want: "", file: ingest.TypeText}, // index 0: not in the list
	{column: "enum('Ñ','dos') CHARACTER SET latin1", value: "1", want: "Ñ", file: ingest.TypeText},
	{column: "set('a','b','c')", value: "'c,a'", want: "a,c", file: ingest.TypeText},
	{column: "set('a','b','c')", value: "''", want: "", file: ingest.TypeText},
	{column: "set('a','b','c')", value: "'x'", want: "", file: ingest.TypeText}, // nothing of the list

	{column: "binary(3)", value: "'a'", want: `\x610000`, file: ingest.TypeBinary},
	{column: "binary(0)", value: "''", want: `\x`, file: ingest.TypeBinary},
	{column: "varbinary(5)", value: "x'00ff'", want: `\x00ff`, file: ingest.TypeBinary},
	{column: "varbinary(5)", value: "x'6100'", want: `\x6100`, file: ingest.TypeBinary},
	{column: "varbinary(100) COMPRESSED", value: "REPEAT(x'00ff', 40)", want: `\x` + strings.Repeat("00ff", 40), file: ingest.TypeBinary, only: "mariadb"},
	{column: "tinyblob", value: "x'00'", want: `\x00`, file: ingest.TypeBinary},
	{column: "blob", value: "''", want: `\x`, file: ingest.TypeBinary},
	{column: "blob COMPRESSED", value: "REPEAT(x'00ff', 400)", want: `\x` + strings.Repeat("00ff", 400), file: ingest.TypeBinary, only: "mariadb"},
	{column: "mediumblob", value: `',"'`, want: `\x2c22`, file: ingest.TypeBinary},
	{column: "longblob", value: "REPEAT(x'0a', 70000)", want: `\x` + strings.Repeat("0a", 70000), file: ingest.TypeBinary},
	{column: "vector(2)", value: "TO_VECTOR('[1, -0.5]')", want: `\x0000803f000000bf`, file: ingest.TypeBinary, only: "mysql"},

	{column: "date", value: "'1000-01-01'", want: "1000-01-01", file: ingest.TypeDate},
	{column: "date", value: "'0001-01-01'", want: "0001-01-01", file: ingest.TypeDate},
	{column: "date", value: "'1582-10-15'", want: "1582-10-15", file: ingest.TypeDate},
	{column: "date", value: "'9999-12-31'", want: "9999-12-31", file: ingest.TypeDate},
	{column: "date", value: "'2024-02-29'", want: "2024-02-29", file: ingest.TypeDate},
	{column: "date", value: "'0000-00-00'", want: null, file: ingest.TypeDate},
	{column: "date", value: "'2024-05-00'", want: null, file: ingest.TypeDate},
	{column: "date", value: "'2024-00-00'", want: null, file: ingest.TypeDate},
	{column: "date", value: "'0000-05-01'", want: null, file: ingest.TypeDate},
	{column: "date", value: "'2023-02-29'", want: null, file: ingest.TypeDate},
	{column: "date", value: "'1900-02-29'", want: null, file: ingest.TypeDate},
	{column: "date", value: "'2000-02-29'", want: "2000-02-29", file: ingest.TypeDate},
	{column: "date", value: "'2024-04-31'", want: null, file: ingest.TypeDate},
	{column: "datetime", value: "'1000-01-01 00:00:00'", want: "1000-01-01 00:00:00", file: ingest.TypeTimestamp},
	{column: "datetime", value: "'9999-12-31 23:59:59'", want: "9999-12-31 23:59:59", file: ingest.TypeTimestamp},
	{column: "datetime", value: "'0000-00-00 00:00:00'", want: null, file: ingest.TypeTimestamp},
	{column: "datetime", value: "'2024-00-10 10:00:00'", want: null, file: ingest.TypeTimestamp},
	{column: "datetime(3)", value: "'2024-02-31 10:00:00.5'", want: null, file: ingest.TypeTimestamp},
	{column: "datetime(6)", value: "'2025-01-02 03:04:05.120000'", want: "2025-01-02 03:04:05.12", file: ingest.TypeTimestamp},
	{column: "datetime(6)", value: "'2025-01-02 03:04:05.000001'", want: "2025-01-02 03:04:05.000001", file: ingest.TypeTimestamp},
	{column: "datetime(6)", value: "'2025-01-02 03:04:00.000000'", want: "2025-01-02 03:04:00", file: ingest.TypeTimestamp},
	{column: "timestamp(3) NULL", value: "'2025-01-02 03:04:05.100'", want: "2025-01-02 03:04:05.1+00", file: ingest.TypeInstant},
	{column: "timestamp NULL", value: "'1970-01-01 00:00:01'", want: "1970-01-01 00:00:01+00", file: ingest.TypeInstant},
	{column: "timestamp(6) NULL", value: "'2038-01-19 03:14:07.999999'", want: "2038-01-19 03:14:07.999999+00", file: ingest.TypeInstant},
	{column: "timestamp NULL", value: "'0000-00-00 00:00:00'", want: null, file: ingest.TypeInstant},
	{column: "time", value: "'-838:59:59'", want: "-838:59:59", file: ingest.TypeTime},
	{column: "time", value: "'838:59:59'", want: "838:59:59", file: ingest.TypeTime},
	{column: "time", value: "'00:00:00'", want: "00:00:00", file: ingest.TypeTime},
	{column: "time(6)", value: "'25:00:00.500000'", want: "25:00:00.5", file: ingest.TypeTime},
	{column: "time(6)", value: "'-00:00:00.000001'", want: "-00:00:00.000001", file: ingest.TypeTime},
	{column: "time(3)", value: "'-101:30:00.250'", want: "-101:30:00.25", file: ingest.TypeTime},

	{column: "json", value: `'{"b": [1, 2.50], "a": "x y", "ñ": null, "b": true}'`, want: `{"b":[1,2.50],"a":"x y","ñ":null,"b":true}`, file: ingest.TypeJSON, query: `{"b": [1, 2.50], "a": "x y", "ñ": null, "b": true}`, only: "mariadb"},
	// MySQL keeps its own form: keys by length and then by bytes, of equal ones the last.
	{column: "json", value: `'{"b": [1, 2.50], "a": "x y", "ñ": null, "b": true}'`, want: `{"a":"x y","b":true,"ñ":null}`, file: ingest.TypeJSON, only: "mysql"},
	{column: "json", value: `'[1, 2.50, -0, 1e100, 18446744073709551615, "\\u0041\\n"]'`, want: `[1,2.5,0,1e100,18446744073709551615,"A\n"]`, file: ingest.TypeJSON, only: "mysql"},
	{column: "json", value: "'null'", want: "null", file: ingest.TypeJSON},
	{column: "json", value: `'"texto, con coma"'`, want: `"texto, con coma"`, file: ingest.TypeJSON},
	{column: "uuid", value: "'123E4567-E89B-12D3-A456-426655440000'", want: "123e4567-e89b-12d3-a456-426655440000", file: ingest.TypeUUID, only: "mariadb"},
	{column: "inet4", value: "'192.168.0.255'", want: "192.168.0.255", file: ingest.TypeText, only: "mariadb"},
	{column: "inet6", value: "'2001:DB8:0:0::ff00:42:8329'", want: "2001:db8::ff00:42:8329", file: ingest.TypeText, only: "mariadb"},
	{column: "inet6", value: "'::ffff:192.0.2.128'", want: "::ffff:192.0.2.128", file: ingest.TypeText, only: "mariadb"},

	{column: "geometry", value: "ST_GeomFromText('POINT(1 2)')", want: `\x00000000` + `0101000000000000000000f03f0000000000000040`, file: ingest.TypeBinary},
	{column: "point", value: "ST_GeomFromText('POINT(1 2)')", want: `\x00000000` + `0101000000000000000000f03f0000000000000040`, file: ingest.TypeBinary},
	{column: "point", value: "ST_GeomFromText('POINT(1 2)', 3857)", want: `\x110f0000` + `0101000000000000000000f03f0000000000000040`, file: ingest.TypeBinary},
	{column: "linestring", value: "ST_GeomFromText('LINESTRING(0 0,1 2)')", want: `\x00000000` + `01020000000200000000000000000000000000000000000000000000000000f03f0000000000000040`, file: ingest.TypeBinary},
	{column: "polygon", value: "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')", want: `\x00000000` + `0103000000010000000400000000000000000000000000000000000000000000000000f03f0000000000000000000000000000f03f000000000000f03f00000000000000000000000000000000`, file: ingest.TypeBinary},
	{column: "multipoint", value: "ST_GeomFromText('MULTIPOINT(1 2)')", want: `\x00000000` + `0104000000010000000101000000000000000000f03f0000000000000040`, file: ingest.TypeBinary},
	{column: "multilinestring", value: "ST_GeomFromText('MULTILINESTRING((0 0,1 2))')", want: `\x00000000` + `01050000000100000001020000000200000000000000000000000000000000000000000000000000f03f0000000000000040`, file: ingest.TypeBinary},
	{column: "multipolygon", value: "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')", want: `\x00000000` + `0106000000010000000103000000010000000400000000000000000000000000000000000000000000000000f03f0000000000000000000000000000f03f000000000000f03f00000000000000000000000000000000`, file: ingest.TypeBinary},
	{column: "geometrycollection", value: "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))')", want: `\x00000000` + `0107000000010000000101000000000000000000f03f0000000000000040`, file: ingest.TypeBinary},
}

// TestTypes inserts a value into a column of each type and reads it back: from the table, from a
// query, and each through the driver's rows too, as they are read under TLS. Between them the cases
// must have every type that the server itself knows.
func TestTypes(t *testing.T) {
	s := newServer(t)
	kind := "mysql"
	if s.isMariaDB(t) {
		kind = "mariadb"
	}
	cases := slices.DeleteFunc(slices.Clone(typeCases), func(c typeCase) bool { return c.only != "" && c.only != kind })
	s.createTypes(t, cases)
	direct, boxed := s.open(t, false), s.open(t, true)
	for i, test := range cases {
		t.Run(fmt.Sprintf("%s %.40s", test.column, test.value), func(t *testing.T) {
			name := fmt.Sprintf("tipo_%d", i)
			columns := []catalog.Column{{Name: "id"}, {Name: "a"}}
			table := catalog.Dataset{Name: name, Table: name, Columns: columns, OrderBy: []catalog.Order{{Column: "id"}}}
			query := catalog.Dataset{Name: name, Query: "SELECT a, id FROM " + name + " ORDER BY id -- todo", Columns: columns}
			fromQuery := test.want
			if test.query != "" {
				fromQuery = test.query
			}
			for _, way := range []struct {
				name    string
				dataset catalog.Dataset
				session engine.Session
				want    string
			}{
				{"the table", table, direct, test.want}, {"the table, boxed,", table, boxed, test.want},
				{"the query", query, direct, fromQuery}, {"the query, boxed,", query, boxed, fromQuery},
			} {
				extraction, tally, csv := extract(t, way.session, way.dataset)
				records, err := extracttest.ReadCSV(csv)
				if err != nil {
					t.Fatalf("%s: reading the file: %v", way.name, err)
				}
				want := extracttest.Field{Text: way.want}
				if way.want == null {
					want = extracttest.Field{Null: true}
				}
				if want := fmt.Sprint([][]extracttest.Field{{{Text: "1"}, want}, {{Text: "2"}, {Null: true}}}); fmt.Sprint(records) != want {
					t.Errorf("%s gave %.500v, want %.500v", way.name, records, want)
				}
				if odd := test.want == null || test.file == ingest.TypeBoolean && test.want == test.value && way.dataset.Table != ""; odd != (len(tally.Warnings) > 0) {
					t.Errorf("%s gave the warnings %q", way.name, tally.Warnings)
				}
				if got := extraction.Columns[1].Type; way.dataset.Table != "" && got != test.file {
					t.Errorf("the type in the file is %q, want %q", got, test.file)
				}
			}
		})
	}

	covered := s.column(t, "SELECT DISTINCT LOWER(DATA_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'tipo%'")
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range s.dataTypes(t) {
		if !slices.Contains(covered, name) {
			t.Errorf("the server has a type %s that no case covers", name)
		}
		if !regexp.MustCompile(`(?m)^//\t.*\b` + name + `\b`).Match(doc) {
			t.Errorf("the server has a type %s that the package's table of types does not name", name)
		}
	}
}

// createTypes makes a table tipo_N of each case, with the case's value in one row and NULL in another.
func (s *server) createTypes(t *testing.T, cases []typeCase) {
	t.Helper()
	conn, err := s.admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	run := func(statement string) {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%.200s: %v", statement, err)
		}
	}
	run("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'") // takes what can be stored at all
	for i, c := range cases {
		run(fmt.Sprintf("CREATE TABLE tipo_%d (id int PRIMARY KEY, a %s)", i, c.column))
		run(fmt.Sprintf("INSERT INTO tipo_%d VALUES (1, %s), (2, NULL)", i, c.value))
	}
}

// open opens a session, which ends with the test. One that boxes leaves the reading of rows to the
// driver, as sessions under TLS do.
func (s *server) open(t testing.TB, boxes bool) engine.Session {
	t.Helper()
	opened, err := s.source(t, extracttest.Granted).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close(context.Background()) })
	if boxes {
		opened.(*session).conn.link.encrypted = true // as far as the link can tell
	}
	return opened
}

// extract reads a dataset to its end.
func extract(t testing.TB, session engine.Session, d catalog.Dataset) (engine.Extraction, engine.Tally, []byte) {
	t.Helper()
	extraction, err := session.Prepare(t.Context(), d)
	if err != nil {
		t.Fatalf("preparing %s: %v", d.Name, err)
	}
	var csv bytes.Buffer
	tally, err := extraction.Run(t.Context(), &drain{Writer: &csv})
	if err != nil {
		t.Fatalf("running %s: %v", d.Name, err)
	}
	return extraction, tally, csv.Bytes()
}

// dataTypes returns the types that the server knows, as its catalogue names them. It finds them by
// making columns of every word that the server knows.
func (s *server) dataTypes(t *testing.T) []string {
	t.Helper()
	words := s.column(t, "SELECT DISTINCT WORD FROM information_schema.KEYWORDS")
	words = append(words, s.column(t, "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'DATA TYPE'")...)
	// MariaDB's are no keywords.
	words = append(words, "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection")
	made := 0
	for _, word := range words {
		for _, arguments := range []string{"", "(1)", "('a')"} {
			_, err := s.admin.ExecContext(t.Context(), fmt.Sprintf("CREATE TABLE palabra_%d (a %s%s)", made, word, arguments))
			if err == nil {
				made++
			}
		}
	}
	types := s.column(t, "SELECT DISTINCT LOWER(DATA_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'palabra%'")
	if len(types) < 35 {
		t.Fatalf("found only the types %q: the way to find them is wrong", types)
	}
	t.Logf("%d words name %d types: %s", made, len(types), strings.Join(types, " "))
	return types
}

// column returns the one column of a query.
func (s *server) column(t *testing.T, query string) (all []string) {
	t.Helper()
	rows, err := s.admin.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *server) isMariaDB(t *testing.T) bool {
	t.Helper()
	var version string
	if err := s.admin.QueryRowContext(t.Context(), "SELECT VERSION()").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return strings.Contains(version, "MariaDB")
}

func TestOddValuesAreCounted(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE raro (id int PRIMARY KEY, a date, b datetime, c timestamp NULL, d boolean)")
	conn, err := s.admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range []string{
		"SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
		"INSERT INTO raro VALUES (1, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0)",
		"INSERT INTO raro VALUES (2, '2024-05-00', '2024-00-10 10:00:00', NULL, 2)",
		"INSERT INTO raro VALUES (3, '2024-05-01', '2024-01-10 10:00:00', '2024-01-10 10:00:00', 1)",
	} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	_, tally, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{Name: "raro", Table: "raro"})
	want := "[[\"1\" NULL NULL NULL \"false\"] [\"2\" NULL NULL NULL \"2\"] " +
		"[\"3\" \"2024-05-01\" \"2024-01-10 10:00:00\" \"2024-01-10 10:00:00+00\" \"true\"]]"
	if got := fmt.Sprint(records); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	warnings := []string{
		`column "a": 2 zero, partial or impossible dates became NULL`,
		`column "b": 2 zero, partial or impossible dates became NULL`,
		`column "c": 1 zero, partial or impossible dates became NULL`,
		`column "d": 1 values are neither 0 nor 1 and stand as integers among true and false`,
	}
	if !slices.Equal(tally.Warnings, warnings) {
		t.Errorf("got the warnings %q, want %q", tally.Warnings, warnings)
	}
}

// TestPurchases runs the built-in catalog's query that turns two element collections into arrays.
func TestPurchases(t *testing.T) {
	built, err := catalog.Load("")
	if err != nil {
		t.Fatal(err)
	}
	database, _ := built.Database("mysql")
	purchases, ok := database.Dataset("compras")
	if !ok {
		t.Fatal("the built-in catalog has no dataset compras")
	}
	s := newServer(t)
	for _, statement := range []string{
		"CREATE TABLE compras (id bigint PRIMARY KEY AUTO_INCREMENT, fecha_compra datetime(6), usuario_id bigint)",
		"CREATE TABLE compra_productos (compra_id bigint NOT NULL, producto_id bigint, FOREIGN KEY (compra_id) REFERENCES compras (id))",
		"CREATE TABLE compra_cantidades (compra_id bigint NOT NULL, cantidad int, FOREIGN KEY (compra_id) REFERENCES compras (id))",
		"INSERT INTO compras VALUES (1, '2025-01-02 03:04:05', 10), (2, NULL, NULL), (3, '2025-01-02 03:04:05.5', 11)",
		"INSERT INTO compra_productos VALUES (3, 9), (1, 30), (3, 9), (1, 20), (1, 10)",
		"INSERT INTO compra_cantidades VALUES (1, 1), (3, 5), (1, 3), (3, NULL), (1, 2)",
	} {
		must(t, s.admin, statement)
	}
	extraction, tally, records := extracttest.Export(t, s.source(t, extracttest.Granted), purchases)
	// Both arrays keep the order in which their elements were inserted: it is all that pairs them.
	want := `[["1" "2025-01-02 03:04:05" "10" "[30,20,10]" "[1,3,2]"] ["2" NULL NULL "[]" "[]"] ` +
		`["3" "2025-01-02 03:04:05.5" "11" "[9,9]" "[5,null]"]]`
	if got := fmt.Sprint(records); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if tally.Rows != 3 || len(tally.Warnings) > 0 {
		t.Errorf("got %d rows and the warnings %q, want 3 and none", tally.Rows, tally.Warnings)
	}
	if extraction.EstimatedRows < 1 || extraction.EstimatedRows > 10 {
		t.Errorf("the estimate is %d rows, want about 3", extraction.EstimatedRows)
	}
	for _, c := range extraction.Columns[3:] {
		if c.Type != "json" {
			t.Errorf("column %s is of type %q, want json", c.Name, c.Type)
		}
	}
}

// TestInconsistentEngine checks that a table without transactions is not said to be in the snapshot.
func TestInconsistentEngine(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE vieja (id int) ENGINE = MyISAM")
	extraction, _, _ := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{Name: "vieja", Table: "vieja"})
	if extraction.Snapshot.Consistent {
		t.Error("a MyISAM table is said to be part of a consistent snapshot")
	}
}
