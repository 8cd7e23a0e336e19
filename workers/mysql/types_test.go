package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/engine"
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
		fromQuery  string // where a query differs
	}{
		{"tinyint(1)", "1", "true", "boolean", "1"},
		{"tinyint(1)", "0", "false", "boolean", "0"},
		{"tinyint(1)", "7", "7", "boolean", "7"},
		{"tinyint", "-128", "-128", "integer", ""},
		{"tinyint unsigned", "255", "255", "integer", ""},
		{"smallint unsigned", "65535", "65535", "integer", ""},
		{"mediumint", "-8388608", "-8388608", "integer", ""},
		{"int(6) zerofill", "42", "42", "integer", ""},
		{"bigint unsigned", "18446744073709551615", "18446744073709551615", "integer", ""},
		{"bigint", "-9223372036854775808", "-9223372036854775808", "integer", ""},
		{"bit(1)", "b'1'", "1", "integer", ""},
		{"bit(10)", "b'1000000001'", "513", "integer", ""},
		{"bit(64)", "0xffffffffffffffff", "18446744073709551615", "integer", ""},
		{"year", "1999", "1999", "integer", ""},
		{"decimal(65,30)", "12345678901234567890123456789012345.123456789012345678901234567890", "12345678901234567890123456789012345.123456789012345678901234567890", "decimal", ""},
		{"decimal(10,2)", "-0.50", "-0.50", "decimal", ""},
		{"decimal(10,2) unsigned zerofill", "0.5", "0.50", "decimal", ""},
		{"decimal(5,0) unsigned zerofill", "0", "0", "decimal", ""},
		{"float", "0.1", "0.1", "float", ""},
		{"float", "16777216", "1.6777216e+07", "float", ""},
		{"float", "1.17549435e-38", "1.1754944e-38", "float", ""},
		{"float(7,4)", "0.1", "0.1", "float", ""},
		{"double", "0.1", "0.1", "float", ""},
		{"double", "1.7976931348623157e308", "1.7976931348623157e+308", "float", ""},
		{"double", "123456789012345678", "1.2345678901234568e+17", "float", ""},
		{"double(8,3)", "1.5", "1.5", "float", ""},
		{"char(5)", "'ab'", "ab", "text", ""},
		{"varchar(20)", "'a,\"b\"'", `a,"b"`, "text", ""},
		{"varchar(20) CHARACTER SET latin1", "'Ñandú'", "Ñandú", "text", ""},
		{"text", "'💊'", "💊", "text", ""},
		{"enum('uno','dos')", "'dos'", "dos", "text", ""},
		{"set('a','b','c')", "'a,c'", "a,c", "text", ""},
		{"binary(3)", "'a'", `\x610000`, "binary", ""},
		{"varbinary(5)", "x'00ff'", `\x00ff`, "binary", ""},
		{"blob", "''", `\x`, "binary", ""},
		{"date", "'1582-10-15'", "1582-10-15", "date", ""},
		{"date", "'9999-12-31'", "9999-12-31", "date", ""},
		{"datetime", "'1000-01-01 00:00:00'", "1000-01-01 00:00:00", "timestamp", ""},
		{"datetime(6)", "'2025-01-02 03:04:05.120000'", "2025-01-02 03:04:05.12", "timestamp", ""},
		{"timestamp(3) NULL", "'2025-01-02 03:04:05.100'", "2025-01-02 03:04:05.1+00", "instant", ""},
		{"time", "'-838:59:59'", "-838:59:59", "time", ""},
		{"time(6)", "'25:00:00.500000'", "25:00:00.5", "time", ""},
		{"json", `'{"b": [1, 2.50], "a": "x y"}'`, `{"b":[1,2.50],"a":"x y"}`, "json", `{"b": [1, 2.50], "a": "x y"}`},
		{"point", "ST_GeomFromText('POINT(1 2)')", `\x000000000101000000000000000000f03f0000000000000040`, "binary", ""},
	}
	s := newServer(t)
	mariaDB := s.isMariaDB(t)
	for _, test := range tests {
		t.Run(test.columnType+" "+test.value, func(t *testing.T) {
			must(t, s.admin, "CREATE TABLE tipo (a "+test.columnType+")")
			defer must(t, s.admin, "DROP TABLE tipo")
			must(t, s.admin, "INSERT INTO tipo VALUES ("+test.value+"), (NULL)")

			check := func(from string, extraction engine.Extraction, tally engine.Tally, records [][]extracttest.Field, want string) {
				t.Helper()
				if tally.Rows != 2 || len(records) != 2 {
					t.Fatalf("%s gave %d rows and %v, want two", from, tally.Rows, records)
				}
				if got := records[0][0]; got != (extracttest.Field{Text: want}) {
					t.Errorf("%s gave %v, want %q", from, got, want)
				}
				if !records[1][0].Null {
					t.Errorf("%s gave %v for NULL", from, records[1][0])
				}
			}
			extraction, tally, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{Name: "tipo", Table: "tipo"})
			check("the table", extraction, tally, records, test.want)
			if got := extraction.Columns[0].Type; got != test.fileType {
				t.Errorf("the type in the file is %q, want %q", got, test.fileType)
			}
			want := test.want
			if test.fromQuery != "" && (mariaDB || test.fileType != "json") {
				want = test.fromQuery
			}
			extraction, tally, records = extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{Name: "tipo", Query: "SELECT a FROM tipo -- todo", Columns: []catalog.Column{{Name: "a"}}})
			check("the query", extraction, tally, records, want)
		})
	}
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
		`column "a": 2 zero or partial dates became NULL`,
		`column "b": 2 zero or partial dates became NULL`,
		`column "c": 1 zero or partial dates became NULL`,
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
