package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// specimen is a kind of column for random tables.
type specimen struct {
	columns []string                  // its types, in SQL; one of them is used
	value   func(r *rand.Rand) string // a value, in SQL, that all of them can hold
	// canon is what the server makes of the column %s on its own: text by its functions, of which none
	// takes part in an export.
	canon string
	// same compares a field of the file with that; nil is equality.
	same func(field, canon string) bool
	only string // the only server that has it, see typeCase

	inQuery string // canon where a query gives another field
}

// whole is a whole number of at most so many bits, in SQL.
func whole(bits int, signed bool) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		n := r.Uint64() >> (64 - bits)
		if r.IntN(2) == 0 {
			n >>= r.IntN(bits) // small ones too
		}
		if signed {
			return strconv.FormatInt(int64(n<<(64-bits))>>(64-bits), 10)
		}
		return strconv.FormatUint(n, 10)
	}
}

func oneOf(values ...string) func(r *rand.Rand) string {
	return func(r *rand.Rand) string { return values[r.IntN(len(values))] }
}

// texts is text made of pieces, in SQL.
func texts(most int, pieces ...string) func(r *rand.Rand) string {
	pieces = append(pieces, "", "a", ",", `"`, "\n", "\r", "\r\n", `\.`, `\N`, " ", `\`, "'", "\t", "NULL")
	return func(r *rand.Rand) string {
		var text string
		for range r.IntN(most) {
			text += pieces[r.IntN(len(pieces))]
		}
		return "CONVERT(x'" + hex.EncodeToString([]byte(text)) + "' USING utf8mb4)"
	}
}

// octets is up to so many random bytes, in SQL.
func octets(most int) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		p := make([]byte, r.IntN(most+1))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		return "x'" + hex.EncodeToString(p) + "'"
	}
}

// moment is a date, or with a clock a date and time, whose parts may be zero or more than there are.
func moment(clock bool) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		text := fmt.Sprintf("%04d-%02d-%02d", r.IntN(10000), 1+r.IntN(12), 1+r.IntN(28))
		switch r.IntN(4) {
		case 0:
			text = fmt.Sprintf("%04d-%02d-%02d", oneOfInts(r, 0, 1900, 2000, 2023, 2024), r.IntN(13), r.IntN(32))
		case 1:
			text = "0000-00-00"
		}
		if clock {
			text += fmt.Sprintf(" %02d:%02d:%02d.%06d", r.IntN(24), r.IntN(60), r.IntN(60), oneOfInts(r, 0, 1, 500000, r.IntN(1000000)))
		}
		return "'" + text + "'"
	}
}

func oneOfInts(r *rand.Rand, values ...int) int { return values[r.IntN(len(values))] }

// document is a JSON document, in SQL.
func document(r *rand.Rand) string {
	var build func(depth int) any
	build = func(depth int) any {
		switch n := r.IntN(8); {
		case n == 0 && depth < 3:
			all := make([]any, r.IntN(4))
			for i := range all {
				all[i] = build(depth + 1)
			}
			return all
		case n <= 2 && depth < 3:
			all := map[string]any{}
			for range r.IntN(4) {
				all[oneOf("a", "ñ", "clave larga", `"`, "")(r)] = build(depth + 1)
			}
			return all
		case n == 3:
			return nil
		case n == 4:
			return r.IntN(2) == 0
		case n == 5:
			return r.Int64()
		case n == 6:
			return math.Round(r.NormFloat64()*1e6) / 64
		default:
			return oneOf("", "texto, con \"comillas\"", "a\nb", "💊", `\`)(r)
		}
	}
	text, err := json.MarshalIndent(build(0), "", " ")
	if err != nil {
		panic(err)
	}
	return "CONVERT(x'" + hex.EncodeToString(text) + "' USING utf8mb4)"
}

// The expressions of specimens. Those that end in hex spell bytes so that no character set takes part.
const (
	asChar   = "CAST(%[1]s + 0 AS CHAR)"
	utf8Hex  = "HEX(CONVERT(%[1]s USING utf8mb4))"
	dateOnly = "CASE WHEN YEAR(%[1]s) = 0 OR MONTH(%[1]s) = 0 OR DAYOFMONTH(%[1]s) = 0 OR " +
		"DAYOFMONTH(%[1]s) > DAYOFMONTH(LAST_DAY(CONCAT(LPAD(YEAR(%[1]s), 4, '0'), '-', LPAD(MONTH(%[1]s), 2, '0'), '-01'))) THEN NULL ELSE "
	trimmed = "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM %s))"
)

func sameText(field, canon string) bool {
	text, err := hex.DecodeString(canon)
	return err == nil && field == string(text)
}

func sameBytes(field, canon string) bool { return field == `\x`+strings.ToLower(canon) }

func sameFloat(bits int) func(field, canon string) bool {
	return func(field, canon string) bool {
		got, err := strconv.ParseFloat(field, bits)
		want, wrong := strconv.ParseFloat(canon, 64)
		if bits == 32 {
			want = float64(float32(want))
		}
		return err == nil && wrong == nil && math.Float64bits(got) == math.Float64bits(want)
	}
}

// sameInstant compares with seconds since 1970.
func sameInstant(field, canon string) bool {
	seconds, fraction, _ := strings.Cut(canon, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	want := time.Unix(n, 0).UTC().Format("2006-01-02 15:04:05")
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		want += "." + fraction
	}
	return err == nil && field == want+"+00"
}

// sameDocument compares what two documents say, and that the field has no space that it needs not.
func sameDocument(field, canon string) bool {
	if !sameWords(field, canon) {
		return false
	}
	var compact bytes.Buffer
	return json.Compact(&compact, []byte(field)) == nil && compact.String() == field
}

func sameWords(field, canon string) bool {
	text, err := hex.DecodeString(canon)
	return err == nil && reflect.DeepEqual(tokens([]byte(field)), tokens(text))
}

// tokens returns the tokens of a document in order, numbers as their digits.
func tokens(document []byte) (all []json.Token) {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return append(all, err.Error())
		}
		all = append(all, token)
	}
}

func sameAddress(field, canon string) bool {
	address, err := netip.ParseAddr(field)
	return err == nil && strings.EqualFold(hex.EncodeToString(address.AsSlice()), canon)
}

func sameUUID(field, canon string) bool {
	return strings.EqualFold(strings.ReplaceAll(field, "-", ""), canon) && len(field) == 36 && field == strings.ToLower(field)
}

var specimens = []specimen{
	{columns: []string{"boolean"}, value: oneOf("0", "1", "1", "0", "7", "-1"), canon: "CASE %[1]s WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE CAST(%[1]s AS CHAR) END", inQuery: asChar},
	{columns: []string{"tinyint", "smallint", "mediumint", "int", "bigint", "decimal(5,0)", "bigint NOT NULL DEFAULT 3"}, value: whole(8, true), canon: asChar},
	{columns: []string{"tinyint unsigned", "int(9) zerofill", "bigint unsigned", "smallint unsigned", "bit(8)", "bit(31)"}, value: whole(8, false), canon: asChar},
	{columns: []string{"bigint"}, value: whole(64, true), canon: asChar},
	{columns: []string{"bigint unsigned", "bit(64)", "bigint(20) zerofill", "decimal(20,0) unsigned"}, value: whole(64, false), canon: asChar},
	{columns: []string{"year"}, value: oneOf("1901", "2155", "'0000'", "2026"), canon: asChar},
	{columns: []string{"decimal(65,30)", "decimal(30,10)", "decimal(38,19)"}, value: func(r *rand.Rand) string {
		return fmt.Sprintf("%d.%010d", int64(r.Uint64())>>r.IntN(60), r.IntN(1e10))
	}, canon: "CAST(%[1]s AS CHAR)"},
	{columns: []string{"float", "float(20,3)"}, value: func(r *rand.Rand) string {
		return strconv.FormatFloat(float64(float32(r.NormFloat64()*math.Pow(10, float64(r.IntN(12)-6)))), 'g', -1, 64)
	}, canon: "CAST(%[1]s + 0e0 AS CHAR)", same: sameFloat(32)},
	{columns: []string{"float"}, value: func(r *rand.Rand) string {
		f := math.Float32frombits(r.Uint32())
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) || math.Abs(float64(f)) > 3.4e38 {
			f = 0
		}
		return strconv.FormatFloat(float64(f), 'e', -1, 64)
	}, canon: "CAST(%[1]s + 0e0 AS CHAR)", same: sameFloat(32)},
	{columns: []string{"double"}, value: func(r *rand.Rand) string {
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) < 1e-300 {
			f = 0.5
		}
		return strconv.FormatFloat(f, 'e', -1, 64)
	}, canon: "CAST(%[1]s AS CHAR)", same: sameFloat(64)},
	{columns: []string{"double", "double(30,6)"}, value: func(r *rand.Rand) string {
		return strconv.FormatFloat(r.NormFloat64()*math.Pow(10, float64(r.IntN(22)-6)), 'f', -1, 64)
	}, canon: "CAST(%[1]s + 0e0 AS CHAR)", same: sameFloat(64)},

	{columns: []string{"varchar(200)", "text", "longtext", "tinytext", "varchar(200) CHARACTER SET utf16", "text COLLATE utf8mb4_bin"}, value: texts(20, "ñ", "💊", "日本語", "\x01"), canon: utf8Hex, same: sameText},
	{columns: []string{"char(200)"}, value: texts(20, "ñ", "💊"), canon: utf8Hex, same: sameText},
	{columns: []string{"varchar(200) CHARACTER SET latin1", "mediumtext CHARACTER SET latin1", "varchar(200) CHARACTER SET ucs2"}, value: texts(20, "ñ", "€", "ß"), canon: utf8Hex, same: sameText},
	{columns: []string{"text COMPRESSED", "varchar(2000) COMPRESSED"}, value: texts(400, "ñ", "💊"), canon: utf8Hex, same: sameText, only: "mariadb"},
	{columns: []string{`enum('a','b,"c"','ñ','')`}, value: oneOf("'a'", `'b,"c"'`, "'ñ'", "''", "'fuera'"), canon: "HEX(CONVERT(CONCAT(%[1]s, '') USING utf8mb4))", same: sameText},
	{columns: []string{"set('a','b','ñ')"}, value: oneOf("'a'", "'b,a'", "'ñ,b,a'", "''", "'fuera'"), canon: "HEX(CONVERT(CONCAT(%[1]s, '') USING utf8mb4))", same: sameText},
	{columns: []string{"varbinary(40)", "binary(40)", "blob", "tinyblob", "longblob", "varchar(40) CHARACTER SET binary"}, value: octets(40), canon: "HEX(%[1]s)", same: sameBytes},
	{columns: []string{"geometry", "point"}, value: func(r *rand.Rand) string {
		return fmt.Sprintf("ST_GeomFromText('POINT(%g %g)')", r.NormFloat64(), r.NormFloat64())
	}, canon: "CONCAT('00000000', HEX(ST_AsBinary(%[1]s)))", same: sameBytes},
	{columns: []string{"vector(3)"}, value: func(r *rand.Rand) string {
		return fmt.Sprintf("TO_VECTOR('[%g,%g,%g]')", r.NormFloat64(), r.NormFloat64(), r.NormFloat64())
	}, canon: "HEX(%[1]s)", same: sameBytes, only: "mysql"},

	{columns: []string{"date"}, value: moment(false), canon: dateOnly + "DATE_FORMAT(%[1]s, '%%Y-%%m-%%d') END"},
	{columns: []string{"datetime", "datetime(3)", "datetime(6)"}, value: moment(true), canon: dateOnly + fmt.Sprintf(trimmed, "DATE_FORMAT(%[1]s, '%%Y-%%m-%%d %%H:%%i:%%s.%%f')") + " END"},
	{columns: []string{"timestamp NULL", "timestamp(3) NULL", "timestamp(6) NULL"}, value: func(r *rand.Rand) string {
		if r.IntN(5) == 0 {
			return "'0000-00-00 00:00:00'"
		}
		return fmt.Sprintf("FROM_UNIXTIME(%d.%06d)", 1+r.IntN(1<<31-10), oneOfInts(r, 0, 1, 250000, r.IntN(1000000)))
	}, canon: "IF(UNIX_TIMESTAMP(%[1]s) = 0, NULL, CAST(UNIX_TIMESTAMP(%[1]s) AS CHAR))", same: sameInstant},
	{columns: []string{"time", "time(2)", "time(6)"}, value: func(r *rand.Rand) string {
		return fmt.Sprintf("'%s%02d:%02d:%02d.%06d'", oneOf("", "-")(r), r.IntN(838), r.IntN(60), r.IntN(60), oneOfInts(r, 0, 1, 500000, r.IntN(1000000)))
	}, canon: fmt.Sprintf(trimmed, "TIME_FORMAT(%[1]s, '%%H:%%i:%%s.%%f')")},

	{columns: []string{"json"}, value: document, canon: utf8Hex, same: sameDocument, only: "mysql"},
	{columns: []string{"json"}, value: document, canon: utf8Hex, same: sameDocument, only: "mariadb", inQuery: utf8Hex},
	{columns: []string{"uuid"}, value: func(r *rand.Rand) string {
		return fmt.Sprintf("'%08x-%04x-%04x-%04x-%012x'", r.Uint32(), r.Uint32()>>16, r.Uint32()>>16, r.Uint32()>>16, r.Uint64()>>16)
	}, canon: "HEX(CAST(%[1]s AS BINARY(16)))", same: sameUUID, only: "mariadb"},
	{columns: []string{"inet4"}, value: func(r *rand.Rand) string {
		return fmt.Sprintf("'%d.%d.%d.%d'", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
	}, canon: "HEX(CAST(%[1]s AS BINARY(4)))", same: sameAddress, only: "mariadb"},
	{columns: []string{"inet6"}, value: func(r *rand.Rand) string {
		return fmt.Sprintf("'%x:%x::%x:%x'", r.Uint32()>>16, r.Uint32()>>r.IntN(33), r.Uint32()>>16, r.Uint32()>>16)
	}, canon: "HEX(CAST(%[1]s AS BINARY(16)))", same: sameAddress, only: "mariadb"},
}

// TestRoundTrip exports random tables, has PostgreSQL load the files, and compares every field with
// what the source's own functions say of it.
func TestRoundTrip(t *testing.T) {
	s := newServer(t)
	kind := "mysql"
	if s.isMariaDB(t) {
		kind = "mariadb"
	}
	kinds := slices.DeleteFunc(slices.Clone(specimens), func(k specimen) bool { return k.only != "" && k.only != kind })
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	conn, err := s.admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	run := func(statement string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%.500s: %v", statement, err)
		}
	}
	run("SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '-05:00'")

	deck := r.Perm(len(kinds)) // so that all kinds have their turn
	for n := 0; n < 12 || len(deck) > 0; n++ {
		table := fmt.Sprintf("azar_%d", n)
		var drawn []specimen
		for range 1 + r.IntN(8) {
			k := r.IntN(len(kinds))
			if len(deck) > 0 {
				k, deck = deck[0], deck[1:]
			}
			drawn = append(drawn, kinds[k])
		}
		s.random(t, run, r, table, drawn)
		compareRandom(t, conn, s, r, table, drawn)
	}
}

// columnName returns the name of a column, odd or ordinary.
func columnName(i int) string {
	return []string{"a", "select", "con espacio", "ñandú", "coma,", `comilla"`, "acento`", "Mayúscula"}[i]
}

// random makes and fills a table.
func (s *server) random(t *testing.T, run func(string), r *rand.Rand, table string, drawn []specimen) {
	t.Helper()
	definition := "CREATE TABLE " + table + " (id int PRIMARY KEY"
	types := make([]string, len(drawn))
	for i, k := range drawn {
		types[i] = k.columns[r.IntN(len(k.columns))]
		definition += ", " + quoteName(columnName(i)) + " " + types[i]
	}
	run(definition + ")")
	var rows []string
	for id := range 1 + r.IntN(60) {
		row := strconv.Itoa(id)
		for i, k := range drawn {
			if r.IntN(6) == 0 && !strings.Contains(types[i], "NOT NULL") {
				row += ", NULL"
			} else {
				row += ", " + k.value(r)
			}
		}
		rows = append(rows, "("+row+")")
	}
	run("INSERT INTO " + table + " VALUES " + strings.Join(rows, ", "))
	t.Logf("%s: %d rows of %s", table, len(rows), strings.Join(types, ", "))
}

// compareRandom exports a random choice of the table's columns and compares it with the table.
func compareRandom(t *testing.T, conn *sql.Conn, s *server, r *rand.Rand, table string, drawn []specimen) {
	t.Helper()
	chosen := r.Perm(len(drawn))[:1+r.IntN(len(drawn))]
	d := catalog.Dataset{Name: table, Table: table, OrderBy: []catalog.Order{{Column: "id"}}}
	if r.IntN(3) == 0 {
		d = catalog.Dataset{Name: table, Query: "SELECT * FROM " + table + " ORDER BY id"}
	}
	var canons []string
	same := make([]func(field, canon string) bool, len(chosen))
	for i, at := range chosen {
		d.Columns = append(d.Columns, catalog.Column{Name: columnName(at)})
		k := drawn[at]
		canon := k.canon
		same[i] = k.same
		if d.Query != "" && k.inQuery != "" {
			canon = k.inQuery
			if k.same != nil { // MariaDB's JSON, which is but text there
				same[i] = sameWords
			}
		}
		canons = append(canons, fmt.Sprintf(canon, quoteName(columnName(at))))
	}
	wanted := rowsOf(t, conn, "SELECT "+strings.Join(canons, ", ")+" FROM "+table+" ORDER BY id", len(chosen))

	opened := s.open(t, r.IntN(3) == 0)
	_, tally, csv := extract(t, opened, d)
	_ = opened.Close(context.Background()) // the driver's connections may be closed twice
	records := extracttest.Reload(t, csv, len(chosen))
	if len(records) != len(wanted) || tally.Rows != int64(len(wanted)) {
		t.Fatalf("%s: PostgreSQL read %d rows, the tally says %d, the table has %d", table, len(records), tally.Rows, len(wanted))
	}
	for id, want := range wanted {
		for i, w := range want {
			got := records[id][i]
			equal := got.Null == !w.Valid
			if equal && w.Valid {
				if same[i] == nil {
					equal = got.Text == w.String
				} else {
					equal = same[i](got.Text, w.String)
				}
			}
			if !equal {
				t.Errorf("%s (query: %t), row %d, column %s: the file has %v, the server says %+v", table, d.Query != "", id, d.Columns[i].Name, got, w)
			}
		}
	}
}

// rowsOf returns the rows of a query, all columns as text.
func rowsOf(t *testing.T, conn *sql.Conn, query string, columns int) (all [][]sql.NullString) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		row := make([]sql.NullString, columns)
		into := make([]any, columns)
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
