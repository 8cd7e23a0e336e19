package mongodb

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// kinds are all types that BSON has.
func kinds() (all []kind) {
	for k := range 256 {
		if kind(k) != kindMissing && kind(k).alias() != kindMissing.alias() {
			all = append(all, kind(k))
		}
	}
	return all
}

// typeCase is one line of the type table.
type typeCase struct {
	name  string
	value any    // in the driver's terms, or rawValue
	text  string // in a column of its own
	json  string // within a document or an array
	typ   string // of a column that holds nothing else
}

// rawValue is a value as its bytes, for what the driver's types cannot say.
type rawValue struct {
	kind kind
	data string
}

// bsonOf returns the value as it stands in a document.
func (c typeCase) bsonOf(t testing.TB) value {
	t.Helper()
	if given, ok := c.value.(rawValue); ok {
		return value{given.kind, []byte(given.data)}
	}
	_, v, _, err := element(elements(raw(t, bson.D{{Key: "", Value: c.value}})))
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return v
}

// docOf returns a document of the fields, by pairs of name and value.
func docOf(pairs ...any) []byte {
	doc := []byte{0, 0, 0, 0}
	for i := 0; i < len(pairs); i += 2 {
		v := pairs[i+1].(value)
		doc = append(append(append(doc, byte(v.kind)), pairs[i].(string)...), 0)
		doc = append(doc, v.data...)
	}
	doc = append(doc, 0)
	le.PutUint32(doc, uint32(len(doc)))
	return doc
}

// typeTable is what becomes of every type and its corners.
func typeTable(t testing.TB) []typeCase {
	id := []byte{0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00}
	const id64 = "Ej5FZ+ibEtOkVkJmFBdAAA=="
	table := []typeCase{
		{"null", nil, "", "null", ingest.TypeText},
		{"empty string", "", "", `""`, ingest.TypeText},
		{"string", "Ñandú, 💊", "Ñandú, 💊", `"Ñandú, 💊"`, ingest.TypeText},
		{"string with everything that is quoted", "a\"b\\c\nd\re\tf\x01", "a\"b\\c\nd\re\tf\x01", `"a\"b\\c\nd\re\tf\u0001"`, ingest.TypeText},
		{"string with zero byte", "a\x00b", "a\x00b", `"a\u0000b"`, ingest.TypeText},
		{"string that ends COPY", `\.`, `\.`, `"\\."`, ingest.TypeText},
		{"true", true, "true", "true", ingest.TypeBoolean},
		{"false", false, "false", "false", ingest.TypeBoolean},
		{"bool that is neither", rawValue{kindBool, "\x02"}, "true", "true", ingest.TypeBoolean},

		{"int", int32(-7), "-7", "-7", ingest.TypeInteger},
		{"smallest int", int32(math.MinInt32), "-2147483648", "-2147483648", ingest.TypeInteger},
		{"small long", int64(5), "5", "5", ingest.TypeInteger},
		{"largest long", int64(math.MaxInt64), "9223372036854775807", "9223372036854775807", ingest.TypeInteger},
		{"smallest long", int64(math.MinInt64), "-9223372036854775808", "-9223372036854775808", ingest.TypeInteger},
		{"double", 0.1, "0.1", "0.1", ingest.TypeFloat},
		{"whole double", 100.0, "100", "100.0", ingest.TypeFloat},
		{"large double", 1e300, "1e+300", "1e+300", ingest.TypeFloat},
		{"double at the turn to exponents", 1e15, "1e+15", "1000000000000000.0", ingest.TypeFloat},
		{"largest double", math.MaxFloat64, "1.7976931348623157e+308", "1.7976931348623157e+308", ingest.TypeFloat},
		{"smallest double", math.SmallestNonzeroFloat64, "5e-324", "5e-324", ingest.TypeFloat},
		{"small double", 0.00001, "1e-05", "0.00001", ingest.TypeFloat},
		{"zero", 0.0, "0", "0.0", ingest.TypeFloat},
		{"negative zero", math.Copysign(0, -1), "-0", "-0.0", ingest.TypeFloat},
		{"NaN", math.NaN(), "NaN", `{"$numberDouble":"NaN"}`, ingest.TypeFloat},
		{"negative NaN with a payload", rawValue{kindDouble, "\xef\xbe\xad\xde\x00\x00\xf4\xff"}, "NaN", `{"$numberDouble":"NaN"}`, ingest.TypeFloat},
		{"infinity", math.Inf(1), "Infinity", `{"$numberDouble":"Infinity"}`, ingest.TypeFloat},
		{"negative infinity", math.Inf(-1), "-Infinity", `{"$numberDouble":"-Infinity"}`, ingest.TypeFloat},

		{"decimal NaN with a payload", rawValue{kindDecimal, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x00\x00\x00\x00\xfe"}, "NaN", `{"$numberDecimal":"NaN"}`, ingest.TypeDecimal},
		{"decimal with a coefficient that is too large", rawValue{kindDecimal, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x41\x30"}, "0", `{"$numberDecimal":"0"}`, ingest.TypeDecimal},

		{"date", millis(2025), "2025-01-02 15:30:45+00", `{"$date":"2025-01-02T15:30:45Z"}`, ingest.TypeInstant},
		{"date with milliseconds", millis(2025, 120), "2025-01-02 15:30:45.12+00", `{"$date":"2025-01-02T15:30:45.120Z"}`, ingest.TypeInstant},
		{"date of one millisecond", millis(2025, 7), "2025-01-02 15:30:45.007+00", `{"$date":"2025-01-02T15:30:45.007Z"}`, ingest.TypeInstant},
		{"first date of JSON", bson.DateTime(0), "1970-01-01 00:00:00+00", `{"$date":"1970-01-01T00:00:00Z"}`, ingest.TypeInstant},
		{"date right before 1970", bson.DateTime(-1), "1969-12-31 23:59:59.999+00", `{"$date":{"$numberLong":"-1"}}`, ingest.TypeInstant},
		{"date before 1970", millis(1969), "1969-01-02 15:30:45+00", `{"$date":{"$numberLong":"-31393755000"}}`, ingest.TypeInstant},
		{"date in the year 1", millis(1), "0001-01-02 15:30:45+00", `{"$date":{"$numberLong":"-62135454555000"}}`, ingest.TypeInstant},
		{"date before the year 1", millis(-43), "0044-01-02 15:30:45+00 BC", `{"$date":{"$numberLong":"-63523988955000"}}`, ingest.TypeInstant},
		{"last date of JSON", bson.DateTime(253402300799999), "9999-12-31 23:59:59.999+00", `{"$date":"9999-12-31T23:59:59.999Z"}`, ingest.TypeInstant},
		{"date right after 9999", bson.DateTime(253402300800000), "10000-01-01 00:00:00+00", `{"$date":{"$numberLong":"253402300800000"}}`, ingest.TypeInstant},
		{"latest date", bson.DateTime(math.MaxInt64), "292278994-08-17 07:12:55.807+00", `{"$date":{"$numberLong":"9223372036854775807"}}`, ingest.TypeInstant},
		{"earliest date", bson.DateTime(math.MinInt64), "292275056-05-16 16:47:04.192+00 BC", `{"$date":{"$numberLong":"-9223372036854775808"}}`, ingest.TypeInstant},

		{"object id", oid, "655f000102030405060708ff", `{"$oid":"655f000102030405060708ff"}`, ingest.TypeObjectID},
		{"uuid", bson.Binary{Subtype: 4, Data: id}, "123e4567-e89b-12d3-a456-426614174000", `{"$binary":{"base64":"` + id64 + `","subType":"04"}}`, ingest.TypeUUID},
		{"uuid of another length", bson.Binary{Subtype: 4, Data: id[:3]}, `\x123e45`, `{"$binary":{"base64":"Ej5F","subType":"04"}}`, ingest.TypeBinary},
		{"old binary whose inner length is wrong", rawValue{kindBinary, "\x05\x00\x00\x00\x02\x09\x00\x00\x00\xab"}, `\x09000000ab`, `{"$binary":{"base64":"CQAAAKs=","subType":"02"}}`, ingest.TypeBinary},
		{"empty binary", bson.Binary{}, `\x`, `{"$binary":{"base64":"","subType":"00"}}`, ingest.TypeBinary},

		{"regex", bson.Regex{Pattern: `^a"b\d`, Options: "im"}, `{"$regularExpression":{"pattern":"^a\"b\\d","options":"im"}}`, "=", ingest.TypeJSON},
		{"empty regex", bson.Regex{}, `{"$regularExpression":{"pattern":"","options":""}}`, "=", ingest.TypeJSON},
		{"timestamp", bson.Timestamp{T: math.MaxUint32, I: 7}, `{"$timestamp":{"t":4294967295,"i":7}}`, "=", ingest.TypeJSON},
		{"code", bson.JavaScript("f()"), `{"$code":"f()"}`, "=", ingest.TypeJSON},
		{"scoped code", bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "x", Value: int32(1)}}}, `{"$code":"f()","$scope":{"x":1}}`, "=", ingest.TypeJSON},
		{"symbol", bson.Symbol("s"), `{"$symbol":"s"}`, "=", ingest.TypeJSON},
		{"pointer", bson.DBPointer{DB: "d.c", Pointer: oid}, `{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"655f000102030405060708ff"}}}`, "=", ingest.TypeJSON},
		{"undefined", bson.Undefined{}, `{"$undefined":true}`, "=", ingest.TypeJSON},
		{"min key", bson.MinKey{}, `{"$minKey":1}`, "=", ingest.TypeJSON},
		{"max key", bson.MaxKey{}, `{"$maxKey":1}`, "=", ingest.TypeJSON},

		{"empty document", bson.D{}, `{}`, "=", ingest.TypeJSON},
		{"empty array", bson.A{}, `[]`, "=", ingest.TypeJSON},
		{"array that needs no quotes", bson.A{bson.A{int32(1)}}, `[[1]]`, "=", ingest.TypeJSON},
		{"array of numbers", bson.A{int32(1), 2.0}, `[1,2.0]`, "=", ingest.TypeJSON},
		{"array whose names do not count up", rawValue{kindArray, string(docOf("x", value{kindNull, nil}, "0", value{kindBool, []byte{1}}))}, `[null,true]`, "=", ingest.TypeJSON},
		{"document", bson.D{{Key: "id", Value: int64(5)}, {Key: "nombre", Value: "Aspirina \"Forte\"\n"}, {Key: "a", Value: bson.A{bson.D{}}}}, `{"id":5,"nombre":"Aspirina \"Forte\"\n","a":[{}]}`, "=", ingest.TypeJSON},
		{"document with strange names", bson.D{{Key: "", Value: true}, {Key: "a.b", Value: true}, {Key: "\"\\\n", Value: true}, {Key: "ñ", Value: nil}}, `{"":true,"a.b":true,"\"\\\n":true,"ñ":null}`, "=", ingest.TypeJSON},
		{"document with a name twice", bson.D{{Key: "a", Value: true}, {Key: "a", Value: false}}, `{"a":true,"a":false}`, "=", ingest.TypeJSON},
		{"reference", bson.D{{Key: "$ref", Value: "c"}, {Key: "$id", Value: oid}, {Key: "$db", Value: "d"}}, `{"$ref":"c","$id":{"$oid":"655f000102030405060708ff"},"$db":"d"}`, "=", ingest.TypeJSON},
	}
	for _, digits := range []string{
		"0", "-0", "0.00", "-0.00", "1.500", "1E+3", "0E+6111", "1234567890.123456789012345678901234", "-9999999999999999999999999999999999",
		"9.999999999999999999999999999999999E+6144", "1E-6176", "-1.234567890123456789012345678901234E-6143", "0.000001", "1E-7", "NaN", "Infinity", "-Infinity",
	} {
		table = append(table, typeCase{"decimal " + digits, decimal(t, digits), digits, `{"$numberDecimal":"` + digits + `"}`, ingest.TypeDecimal})
	}
	for _, subtype := range []byte{0, 1, 2, 3, 5, 6, 7, 8, 9, 0x7f, 0x80, 0xff} {
		table = append(table, typeCase{
			fmt.Sprintf("binary of subtype %#02x", subtype), bson.Binary{Subtype: subtype, Data: id}, `\x123e4567e89b12d3a456426614174000`,
			fmt.Sprintf(`{"$binary":{"base64":"%s","subType":"%02x"}}`, id64, subtype), ingest.TypeBinary,
		})
	}
	for i := range table {
		if table[i].json == "=" {
			table[i].json = table[i].text
		}
	}
	return table
}

// TestTypes checks the type table: as a column, in a document, and by the types that are told
// afterwards.
func TestTypes(t *testing.T) {
	covered := map[kind]bool{}
	for _, c := range typeTable(t) {
		t.Run(c.name, func(t *testing.T) {
			v := c.bsonOf(t)
			covered[v.kind] = true
			array := value{kindArray, docOf("0", v)}
			s := newReplay(t, docOf("solo", v, "dentro", value{kindDocument, docOf("x", v, "y", array)}, "fin", value{kindBool, []byte{1}}))
			_, tally, records := extracttest.Export(t, s.source(t), dataset("solo", "dentro", "fin"))
			want := []extracttest.Field{
				{Text: c.text, Null: v.kind == kindNull}, {Text: `{"x":` + c.json + `,"y":[` + c.json + `]}`}, {Text: "true"},
			}
			if !slices.Equal(records[0], want) {
				t.Errorf("got  %q\nwant %q", records[0], want)
			}
			wantColumn := ingest.Column{Name: "solo", Type: c.typ, SourceType: v.kind.alias()}
			if got := tally.Columns[0]; got != wantColumn {
				t.Errorf("the column is described as %+v; want %+v", got, wantColumn)
			}
			if len(tally.Warnings) > 0 {
				t.Errorf("warnings %q; want none", tally.Warnings)
			}
		})
	}
	for _, k := range kinds() {
		if !covered[k] {
			t.Errorf("no line of the type table is about %s (%#02x)", k.alias(), byte(k))
		}
	}
}

// TestEveryKindIsKnown checks that exactly the types of BSON are read, whatever their sizes.
func TestEveryKindIsKnown(t *testing.T) {
	if n := len(kinds()); n != 21 {
		t.Fatalf("there are %d types; BSON has 21", n)
	}
	data := map[kind][]byte{}
	for _, c := range typeTable(t) {
		v := c.bsonOf(t)
		data[v.kind] = v.data
	}
	for k := range 256 {
		_, _, err := valueAt(append([]byte{byte(k), 0}, data[kind(k)]...), 2)
		if known := slices.Contains(kinds(), kind(k)); known != (err == nil) {
			t.Errorf("reading a value of type %#02x: %v; the type is known: %t", k, err, known)
		}
	}
}

// TestMixedTypes checks what is told of a column that holds several types.
func TestMixedTypes(t *testing.T) {
	const wide = int64(1) << 53
	id := bson.Binary{Subtype: 4, Data: make([]byte, 16)}
	for _, c := range []struct {
		name   string
		values []any
		source string
		typ    string
	}{
		{"nothing", []any{missing}, "bson", ingest.TypeText},
		{"nulls", []any{nil, missing}, "null", ingest.TypeText},
		{"one type, and nulls", []any{nil, true, missing, nil}, "bool", ingest.TypeBoolean},
		{"int and long", []any{int64(1), int32(1), int64(2)}, "long, int", ingest.TypeInteger},
		{"as many of each", []any{int64(1), int32(1)}, "int, long", ingest.TypeInteger},
		{"int and double", []any{int32(1), 1.5, 2.5}, "double, int", ingest.TypeFloat},
		{"long and double", []any{-wide, 1.5, wide}, "long, double", ingest.TypeFloat},
		{"long that no double holds, and double", []any{wide + 1, 1.5}, "double, long", ingest.TypeText},
		{"negative long that no double holds, and double", []any{-wide - 1, 1.5}, "double, long", ingest.TypeText},
		{"int and decimal", []any{int32(1), decimal(t, "1.5")}, "int, decimal", ingest.TypeDecimal},
		{"long and decimal", []any{int64(math.MaxInt64), decimal(t, "1.5")}, "long, decimal", ingest.TypeDecimal},
		{"double and decimal", []any{0.1, decimal(t, "0.1")}, "double, decimal", ingest.TypeText},
		{"all numbers", []any{int32(1), 0.1, decimal(t, "0.1")}, "double, int, decimal", ingest.TypeText},
		{"number and string", []any{int32(1), "1"}, "string, int", ingest.TypeText},
		{"bool and int", []any{true, int32(1)}, "bool, int", ingest.TypeText},
		{"date and string", []any{millis(2025), "2025"}, "string, date", ingest.TypeText},
		{"document and array", []any{bson.D{}, bson.A{}, bson.A{}}, "array, object", ingest.TypeJSON},
		{"what only JSON can say", []any{bson.MinKey{}, bson.Regex{}, bson.Timestamp{}}, "regex, timestamp, minKey", ingest.TypeJSON},
		{"document and string", []any{bson.D{}, "{}"}, "string, object", ingest.TypeText},
		{"uuids", []any{id, id}, "binData", ingest.TypeUUID},
		{"uuid and other binary", []any{id, bson.Binary{}}, "binData", ingest.TypeText},
		{"object id and string", []any{oid, oid.Hex(), oid}, "objectId, string", ingest.TypeText},
	} {
		t.Run(c.name, func(t *testing.T) {
			var docs [][]byte
			for _, v := range c.values {
				doc := bson.D{{Key: "b", Value: true}}
				if v != missing {
					doc = append(doc, bson.E{Key: "a", Value: v})
				}
				docs = append(docs, raw(t, doc))
			}
			_, prepared, tally := newReplay(t, docs...).export(t, "a", "b")
			if want := (ingest.Column{Name: "a", Type: ingest.TypeText, SourceType: "bson"}); prepared.Columns[0] != want {
				t.Errorf("before reading the column is described as %+v; want %+v", prepared.Columns[0], want)
			}
			if want := (ingest.Column{Name: "a", Type: c.typ, SourceType: c.source}); tally.Columns[0] != want {
				t.Errorf("the column is described as %+v; want %+v", tally.Columns[0], want)
			}
		})
	}
}

// missing stands for no field at all.
var missing = new(int)

func TestTypesOfAColumnDeclaredAsJSON(t *testing.T) {
	for _, c := range []struct {
		values []any
		typ    string
		text   string
	}{
		{[]any{"[1,  2]", `"a"`}, ingest.TypeJSON, "\"[1,2]\"\n\"\"\"a\"\"\"\n"},
		{[]any{"[1,  2]", bson.D{{Key: "a", Value: "x"}}}, ingest.TypeJSON, "\"[1,2]\"\n\"{\"\"a\"\":\"\"x\"\"}\"\n"},
		{[]any{"[1,  2]", "[1, "}, ingest.TypeText, "\"[1,2]\"\n\"[1, \"\n"},
		{[]any{"[1]", ""}, ingest.TypeText, "[1]\n\"\"\n"},
	} {
		columns := columnsNamed("a")
		columns[0].JSON = true
		var docs [][]byte
		for _, v := range c.values {
			docs = append(docs, raw(t, bson.D{{Key: "a", Value: v}}))
		}
		r, got := recorderOf(t, columns, docs...)
		if got != c.text {
			t.Errorf("%q: got %q; want %q", c.values, got, c.text)
		}
		if got := r.found([]ingest.Column{{}})[0].Type; got != c.typ {
			t.Errorf("%q: the type is %s; want %s", c.values, got, c.typ)
		}
	}
}

func TestNullAndMissingAreCounted(t *testing.T) {
	null, empty, none := raw(t, bson.D{{Key: "a", Value: nil}, {Key: "b", Value: true}}), raw(t, bson.D{{Key: "a", Value: ""}}), raw(t, bson.D{{Key: "b", Value: nil}})
	got, warnings := recorded(t, columnsNamed("a", "b"), null, empty, none, none)
	if want := ",true\n\"\",\n,\n,\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	want := []string{
		`the column "a" is NULL where the field is null, in 1 documents, and where it is missing, in 2`,
		`the column "b" is NULL where the field is null, in 2 documents, and where it is missing, in 1`,
	}
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings are %q; want %q", warnings, want)
	}
}

func TestNamesLikeWrappersAreWarnedOf(t *testing.T) {
	doc := raw(t, bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "$oid", Value: "x"}, {Key: "$ref", Value: "x"}}, bson.D{{Key: "$oid", Value: "y"}}}}, {Key: "$b", Value: true}})
	got, warnings := recorded(t, columnsNamed("a", "$b"), doc, doc)
	line := `"[{""$oid"":""x"",""$ref"":""x""},{""$oid"":""y""}]",true` + "\n"
	if got != line+line {
		t.Errorf("got %q; want twice %q", got, line)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "4 fields inside of documents have names that begin with $") {
		t.Errorf("warnings are %q; want one that counts 4 fields", warnings)
	}
}

// TestLateFields checks that fields which only late documents have are exported, typed and counted.
func TestLateFields(t *testing.T) {
	var docs [][]byte
	for i := range 3 * firstBatch {
		docs = append(docs, raw(t, bson.D{{Key: "_id", Value: int32(i)}}))
	}
	docs = append(docs, raw(t, bson.D{{Key: "nuevo", Value: true}, {Key: "_id", Value: int64(-1)}, {Key: "tarde", Value: oid}}))
	got, _, tally := newReplay(t, docs...).export(t, "_id", "tarde")
	if !strings.HasSuffix(got, "749,\n-1,655f000102030405060708ff\n") {
		t.Errorf("the file ends in %q", got[len(got)-50:])
	}
	want := []ingest.Column{{Name: "_id", Type: ingest.TypeInteger, SourceType: "int, long"}, {Name: "tarde", Type: ingest.TypeObjectID, SourceType: "objectId"}}
	if !slices.Equal(tally.Columns, want) {
		t.Errorf("the columns are described as %+v; want %+v", tally.Columns, want)
	}
	if want := []string{`the field "nuevo" is not declared and not exported: 1 documents have it`}; !slices.Equal(tally.Warnings, want) {
		t.Errorf("warnings are %q; want %q", tally.Warnings, want)
	}
}
