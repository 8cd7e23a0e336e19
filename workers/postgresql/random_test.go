package postgresql

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// kind is a type of column for random tables.
type kind struct {
	columnType string
	// value returns an SQL expression of a random value that is not NULL.
	value func(*rand.Rand) string
	// canonical is the text that the file must have of a value, computed by the source in another way
	// than the code under test has it computed. %s is the column. Where it is empty the file has JSON.
	canonical string
	// same compares a value with the JSON of the file: %[1]s is the column, %[2]s the text of the file.
	same string
}

// literal quotes text for SQL.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// output is what the type's own output function makes of a value.
const output = "format('%%s', %s)"

// randomKinds are all kinds of columns.
func randomKinds() []kind {
	scalars := []kind{
		{"smallint", whole(16), output, ""},
		{"integer", whole(32), output, ""},
		{"bigint", whole(64), output, ""},
		{"oid", func(r *rand.Rand) string { return strconv.FormatUint(uint64(r.Uint32()), 10) }, output, ""},
		{"numeric", number, output, ""},
		{"numeric(12,4)", func(r *rand.Rand) string { return fmt.Sprintf("%d.%04d", r.IntN(2e7)-1e7, r.IntN(1e4)) }, output, ""},
		{"money", func(r *rand.Rand) string {
			return fmt.Sprintf("'%d.%02d'::numeric::money", r.Int64N(1<<55)-1<<54, r.IntN(100))
		}, "regexp_replace(%s::text, '[$,]', '', 'g')", ""},
		{"real", func(r *rand.Rand) string { return float(r, 32) }, output, ""},
		{"double precision", func(r *rand.Rand) string { return float(r, 64) }, output, ""},
		{"boolean", func(r *rand.Rand) string { return strconv.FormatBool(r.IntN(2) == 0) }, "CASE WHEN %s THEN 'true' ELSE 'false' END", ""},
		{"text", func(r *rand.Rand) string { return literal(text(r)) }, "%s", ""},
		{"varchar(40)", func(r *rand.Rand) string { return "left(" + literal(text(r)) + ", 40)" }, "%s", ""},
		{"char(12)", func(r *rand.Rand) string { return "left(" + literal(text(r)) + ", 12)" }, "rpad(%s::text, 12)", ""},
		{"name", func(r *rand.Rand) string { return "left(" + literal(text(r)) + ", 15)" }, "%s::text", ""},
		{"citext", func(r *rand.Rand) string { return literal(text(r)) }, "%s::text", ""},
		{"bytea", func(r *rand.Rand) string { return `'\x` + hex.EncodeToString(random(r, r.IntN(40))) + "'" }, `'\x' || encode(%s, 'hex')`, ""},
		{"uuid", func(r *rand.Rand) string { return literal(hex.EncodeToString(random(r, 16))) }, output, ""},
		{"date", func(r *rand.Rand) string {
			return or(r, fmt.Sprintf("date '2000-01-01' + %d", r.IntN(4e6)-2_400_000), "'infinity'", "'-infinity'", "'9999-12-31'")
		}, output, ""},
		{"time", func(r *rand.Rand) string { return or(r, "time '00:00' + "+micros(r, 1e12), "'24:00'") }, output, ""},
		{"timetz", func(r *rand.Rand) string {
			return fmt.Sprintf("((time '00:00' + %s)::text || '%+03d:%02d')::timetz", micros(r, 1e12), r.IntN(31)-15, r.IntN(60))
		}, output, ""},
		{"timestamp", instant("timestamp"), output, ""},
		{"timestamp(3)", instant("timestamp"), output, ""},
		{"timestamptz", instant("timestamptz"),
			// Wall-clock time at Greenwich, with the suffix put where it belongs.
			`CASE WHEN isfinite(%[1]s) THEN regexp_replace((%[1]s AT TIME ZONE 'UTC')::text, '( BC)?$', '+00\1') ELSE %[1]s::text END`, ""},
		{"interval", func(r *rand.Rand) string {
			part := func(n int) int { return (r.IntN(2*n) - n) * r.IntN(2) }
			return fmt.Sprintf("make_interval(%d, %d, 0, %d, %d, %d, %d.%06d)", part(3000), part(30), part(500), part(90), part(90), part(90), r.IntN(1e6))
		}, output, ""},
		{"bit(7)", func(r *rand.Rand) string { return fmt.Sprintf("B'%07b'", r.IntN(128)) }, output, ""},
		{"varbit", func(r *rand.Rand) string { return fmt.Sprintf("B'%b'", r.Uint64()) }, output, ""},
		{"animo", func(r *rand.Rand) string { return literal(moods[r.IntN(len(moods))]) }, output, ""},
		{"inet", func(r *rand.Rand) string {
			return fmt.Sprintf("'%d.%d.%d.%d/%d'", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(33))
		}, output, ""},
		{"macaddr", func(r *rand.Rand) string { return literal(hex.EncodeToString(random(r, 6))) }, output, ""},
		{"point", func(r *rand.Rand) string { return "point(" + float(r, 64) + ", " + float(r, 64) + ")" }, output, ""},
		{"int8range", func(r *rand.Rand) string {
			return fmt.Sprintf("int8range(%d, %s)", r.IntN(100), or(r, strconv.Itoa(100+r.IntN(100)), "NULL"))
		}, output, ""},
		{"nummultirange", func(r *rand.Rand) string {
			return fmt.Sprintf("nummultirange(numrange(%d, %d.50), numrange(%d, NULL))", r.IntN(10), 20+r.IntN(9), 30+r.IntN(9))
		}, output, ""},
		{"tstzrange", func(r *rand.Rand) string {
			return fmt.Sprintf("tstzrange(timestamptz '1900-01-01' + %s, NULL)", micros(r, 1e18))
		}, output, ""},
		{"tsvector", func(r *rand.Rand) string { return "to_tsvector('simple', " + literal(text(r)) + ")" }, output, ""},
		{"xml", func(r *rand.Rand) string { return "xmlelement(name a, " + literal(text(r)) + ")" }, output, ""},
		{"pg_lsn", func(r *rand.Rand) string { return fmt.Sprintf("'%X/%X'", r.Uint32(), r.Uint32()) }, output, ""},
	}
	kinds := append([]kind{}, scalars...)
	for _, k := range scalars {
		kinds = append(kinds, domain(k), array(k))
	}
	kinds = append(kinds,
		// Text that is JSON already: the same document, and of jsonb and json the very tokens (see compact).
		kind{"json", func(r *rand.Rand) string { return literal(jsonText(r, 3)) + "::json" }, "", "%[2]s::jsonb = %[1]s::jsonb"},
		kind{"jsonb", func(r *rand.Rand) string { return literal(jsonText(r, 3)) + "::jsonb" }, "", "%[2]s::jsonb = %[1]s"},
		kind{"hstore", func(r *rand.Rand) string {
			return "hstore(ARRAY[" + literal(text(r)) + ", 'b'], ARRAY[" + or(r, literal(text(r)), "NULL") + ", NULL])"
		}, "", "(SELECT hstore(array_agg(key), array_agg(value)) FROM jsonb_each_text(%[2]s::jsonb)) = %[1]s"},
		kind{"ficha", func(r *rand.Rand) string { return record(r, 1) }, "", populated("ficha")},
		kind{"expediente", func(r *rand.Rand) string { return record(r, 2) }, "", populated("expediente")},
		kind{"ficha[]", func(r *rand.Rand) string { return "ARRAY[" + record(r, 1) + ", NULL, " + record(r, 1) + "]::ficha[]" }, "",
			"(SELECT array_agg(CASE json_typeof(e) WHEN 'object' THEN json_populate_record(NULL::ficha, e) END ORDER BY n)::text FROM json_array_elements(%[2]s::json) WITH ORDINALITY AS x (e, n)) = %[1]s::text"},
		kind{"json[]", func(r *rand.Rand) string { return "ARRAY[" + literal(jsonText(r, 2)) + ", NULL]::json[]" }, "",
			"jsonb_array_length(%[2]s::jsonb) = 2 AND %[2]s::jsonb -> 0 = %[1]s[1]::jsonb AND %[2]s::jsonb -> 1 = 'null'"},
	)
	return kinds
}

var moods = []string{"feliz", `muy "feliz", sí`, "", "ñ\n"}

// randomTypes are the types of the kinds.
func randomTypes() []string {
	labels := make([]string, len(moods))
	for i, mood := range moods {
		labels[i] = literal(mood)
	}
	statements := []string{
		"CREATE EXTENSION hstore", "CREATE EXTENSION citext",
		"CREATE TYPE animo AS ENUM (" + strings.Join(labels, ", ") + ")",
		"CREATE TYPE ficha AS (n bigint, nota text, desde timestamptz, precio numeric, foto bytea, animo animo, lista int[])",
		`CREATE TYPE expediente AS (id uuid, "Ficha Única" ficha, fichas ficha[], datos jsonb, largo interval, activo boolean)`,
	}
	for _, k := range randomKinds() {
		if of, ok := strings.CutPrefix(k.columnType, "dominio_"); ok {
			statements = append(statements, "CREATE DOMAIN "+k.columnType+" AS "+domains[of])
		}
	}
	return statements
}

// domains are the types that domains are based on, by what their names end in.
var domains = map[string]string{}

// domain returns the kind of a domain of a kind.
func domain(k kind) kind {
	of := strings.NewReplacer(" ", "_", "(", "_", ")", "", ",", "_").Replace(k.columnType)
	domains[of] = k.columnType
	k.columnType = "dominio_" + of
	return k
}

// array returns the kind of arrays of a kind, of one or two dimensions. The array is made again from the
// file's JSON: its elements in their order, each of them read by the type itself, and its dimensions.
func array(k kind) kind {
	value := func(r *rand.Rand) string {
		row := func(n int) string {
			elements := make([]string, n)
			for i := range elements {
				if elements[i] = "NULL"; r.IntN(4) > 0 {
					elements[i] = k.value(r)
				}
			}
			return "ARRAY[" + strings.Join(elements, ", ") + "]::" + k.columnType + "[]"
		}
		switch n := r.IntN(4); r.IntN(5) {
		case 0:
			return "'{}'"
		case 1:
			return "ARRAY[" + row(n+1) + ", " + row(n+1) + "]"
		case 2:
			return fmt.Sprintf("('[%d:%d]=' || (%s)::text)::%s[]", 5, 5+n, row(n+1), k.columnType)
		default:
			return row(n + 1)
		}
	}
	element := "%s"
	if k.columnType == "money" {
		element = "%s::numeric"
	}
	element = fmt.Sprintf(element, "(f #>> '{}')") + "::" + k.columnType
	return kind{k.columnType + "[]", value, "", `
		(SELECT coalesce(array_agg(format('%%s', ` + element + `) ORDER BY n, m), '{}')
			FROM json_array_elements(%[2]s::json) WITH ORDINALITY AS outer_one (e, n),
			json_array_elements(CASE array_ndims(%[1]s) WHEN 2 THEN e ELSE json_build_array(e) END) WITH ORDINALITY AS inner_one (f, m))
			= (SELECT coalesce(array_agg(format('%%s', e) ORDER BY n), '{}') FROM unnest(%[1]s) WITH ORDINALITY AS x (e, n))
		AND json_array_length(%[2]s::json) = coalesce(array_length(%[1]s, 1), 0)
		AND CASE array_ndims(%[1]s) WHEN 2 THEN json_array_length(%[2]s::json -> 0) = array_length(%[1]s, 2) ELSE true END`}
}

// populated makes a composite value again from the file's JSON.
func populated(of string) string {
	return "json_populate_record(NULL::" + of + ", %[2]s::json)::text = %[1]s::text"
}

// record returns a composite value.
func record(r *rand.Rand, depth int) string {
	if depth == 1 {
		return fmt.Sprintf("ROW(%s, %s, %s, %s, %s, %s, %s)::ficha", whole(64)(r), or(r, literal(text(r)), "NULL"), instant("timestamptz")(r), number(r),
			`'\x`+hex.EncodeToString(random(r, r.IntN(5)))+"'::bytea", literal(moods[r.IntN(len(moods))]), or(r, "ARRAY[1, NULL, 3]", "'{}'", "NULL"))
	}
	return fmt.Sprintf("ROW('%s', %s, ARRAY[%s, NULL], %s, make_interval(0, %d, 0, %d), %t)::expediente",
		// Not a null, which within a document is the same as a NULL.
		hex.EncodeToString(random(r, 16)), or(r, record(r, 1), "NULL"), record(r, 1), literal("["+jsonText(r, 2)+"]"), r.IntN(20)-10, r.IntN(20), r.IntN(2) == 0)
}

// or returns the first value most of the time, and one of the others now and then.
func or(r *rand.Rand, usual string, others ...string) string {
	if r.IntN(8) > 0 {
		return usual
	}
	return others[r.IntN(len(others))]
}

func whole(bits int) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		n := int64(r.Uint64()) >> (64 - bits) >> r.IntN(bits)
		lowest := int64(math.MinInt64) >> (64 - bits)
		return or(r, fmt.Sprintf("'%d'", n), fmt.Sprintf("'%d'", lowest), fmt.Sprintf("'%d'", ^lowest), "0")
	}
}

// number returns a numeric of up to some hundred digits.
func number(r *rand.Rand) string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
		return b.String()
	}
	n := "-"[:r.IntN(2)] + digits(1+r.IntN(150)*r.IntN(2))
	if r.IntN(2) == 0 {
		n += "." + digits(1+r.IntN(150)*r.IntN(2))
	}
	return or(r, "'"+n+"'::numeric", "'NaN'::numeric", "'Infinity'::numeric", "'-Infinity'::numeric")
}

func float(r *rand.Rand, bits int) string {
	f := math.Float64frombits(r.Uint64())
	if bits == 32 {
		f = float64(math.Float32frombits(r.Uint32()))
	}
	if r.IntN(2) == 0 {
		f = float64(r.IntN(2e6)-1e6) / 100
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return or(r, "'"+strconv.FormatFloat(f, 'g', -1, bits)+"'", "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "1e15", "1e-5")
}

func micros(r *rand.Rand, limit int64) string {
	return fmt.Sprintf("interval '1 microsecond' * %d", r.Int64N(limit))
}

// instant returns points in time, of the years from 4000 BC on.
func instant(of string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		return or(r, fmt.Sprintf("%s '2000-01-01 00:00:00' + interval '1 microsecond' * %d", of, (r.Int64N(4e17)-1_800_000_000_000_000*100)>>r.IntN(40)),
			"'infinity'::"+of, "'-infinity'::"+of, "'0001-12-31 23:59:59.999999 BC'::"+of, "'1969-12-31 23:59:59.5'::"+of)
	}
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return b
}

// text returns short texts that are rich in what CSV, SQL and JSON treat in their own way.
func text(r *rand.Rand) string {
	pieces := []string{"a", "Z", ",", `"`, "'", "\n", "\r", "\r\n", `\.`, `\`, `\N`, " ", "ñ", "💊", `""`, "NULL", "null", "{", "}", "\t", "\u2028", "<&>", "\x7f", "\x01"}
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	if text := b.String(); text != "\x01" && !strings.Contains(text, "\x01") || r.IntN(2) == 0 {
		return strings.ReplaceAll(text, "\x01", "") // XML has no control characters
	}
	return strings.ReplaceAll(b.String(), "\x01", "á")
}

// jsonText returns a random document with random space between its tokens.
func jsonText(r *rand.Rand, depth int) string {
	space := func() string { return []string{"", "", " ", "\n ", "\t", "\r\n"}[r.IntN(6)] }
	quoted := func() string {
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString([]string{"a", "ñ", `\"`, `\\`, `\n`, `\u00e9`, `\ud83d\ude00`, ",", ":", "  ", "{", "💊", "'"}[r.IntN(13)])
		}
		return `"` + b.String() + `"`
	}
	var doc string
	switch kind := r.IntN(8); {
	case kind < 2 && depth > 0:
		members := make([]string, r.IntN(4))
		for i := range members {
			members[i] = space() + quoted() + space() + ":" + jsonText(r, depth-1)
		}
		doc = "{" + strings.Join(members, ",") + space() + "}"
	case kind < 4 && depth > 0:
		elements := make([]string, r.IntN(4))
		for i := range elements {
			elements[i] = jsonText(r, depth-1)
		}
		doc = "[" + strings.Join(elements, ",") + space() + "]"
	case kind < 6:
		doc = quoted()
	default:
		doc = []string{"true", "false", "null", "0", "-0", "1.50", "1e5", "-12.5E-3", "12345678901234567890123"}[r.IntN(9)]
	}
	return space() + doc + space()
}
