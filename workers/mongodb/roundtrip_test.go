package mongodb

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/encode"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// checkRoundTrip exports the dataset and compares what a reader makes of the file with the source.
func checkRoundTrip(t *testing.T, source engine.Source, d catalog.Dataset, docs []bson.D) {
	t.Helper()
	session, err := source.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(t.Context())
	extraction, err := session.Prepare(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	var body sink
	tally, err := extraction.Run(t.Context(), &body)
	if err != nil {
		t.Fatal(err)
	}

	file := append(encode.AppendHeader(nil, extraction.Columns), body.Bytes()...)
	records, err := extracttest.ReadCSV(file)
	if err != nil {
		t.Fatalf("reading the file: %v", err)
	}
	r := reader{columns: tally.Columns}
	for _, name := range records[0] {
		r.header = append(r.header, name.Text)
	}
	records = records[1:]
	if len(records) != len(docs) || tally.Rows != int64(len(docs)) {
		t.Fatalf("%d documents gave %d records, and the tally says %d", len(docs), len(records), tally.Rows)
	}
	reloaded := extracttest.Reload(t, body.Bytes(), len(r.columns))
	for i, record := range records {
		if !slices.Equal(record, reloaded[i]) {
			t.Errorf("record %d is %s; PostgreSQL reads %s", i, record, reloaded[i])
		}
		got, err := r.document(record, func(column string) kind { return kindIn(t, docs[i], column) })
		if err != nil {
			t.Fatalf("%v\nof %v", err, docs[i])
		}
		if want := kept(docs[i], r.columns[:len(r.columns)-1]); !bytes.Equal(raw(t, got), raw(t, want)) {
			t.Errorf("%s\nreads as %v\nwant     %v\nof       %v", record, got, want, docs[i])
		}
	}
}

// kindIn returns the type of the value that a column shows of the document.
func kindIn(t *testing.T, doc bson.D, column string) kind {
	t.Helper()
	k := keeper{columns: map[string]ingest.Column{column: {Name: column}, strings.ReplaceAll(column, ".", "\x00"): {Name: column}}, parents: map[string]bool{}, found: map[string]any{}}
	path := strings.Split(column, ".")
	for i := 1; i < len(path); i++ {
		k.parents[strings.Join(path[:i], "\x00")] = true
	}
	k.walk(doc, "")
	return typeCase{value: k.found[column]}.bsonOf(t).kind
}

// TestFilesGiveTheDocumentsBack holds random collections of all types against what a reader makes
// of their files.
func TestFilesGiveTheDocumentsBack(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for run := range uint64(40) {
		g := newGenerator(rand.New(rand.NewPCG(seed, run)), anyOf)
		var docs []bson.D
		var data [][]byte
		for i := range 50 {
			doc := g.document(i)
			docs, data = append(docs, doc), append(data, raw(t, doc))
		}
		d := dataset(g.columns...)
		d.Extra = true
		checkRoundTrip(t, newReplay(t, data...).source(t), d, docs)
		if t.Failed() {
			t.Fatalf("in run %d", run)
		}
	}
}

// TestARealServersDocumentsComeBack does the same with a server that has stored the documents.
func TestARealServersDocumentsComeBack(t *testing.T) {
	server := newServer(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for run := range uint64(4) {
		g := newGenerator(rand.New(rand.NewPCG(seed, run)), simple)
		g.columns = slices.DeleteFunc(g.columns, func(name string) bool { return name == "_id" || name[0] == '$' })
		g.columns = append(g.columns, "_id")
		var docs []bson.D
		var inserted []any
		for i := range 100 {
			doc := storable(g.document(i))
			doc = append(bson.D{{Key: "_id", Value: int32(i)}}, doc...)
			docs, inserted = append(docs, doc), append(inserted, doc)
		}
		name := fmt.Sprint("ida_y_vuelta_", run)
		server.insert(t, name, inserted...)
		d := dataset(g.columns...)
		d.Collection, d.Extra, d.OrderBy = name, true, []catalog.Order{{Column: "_id"}}
		checkRoundTrip(t, server.source(t, extracttest.Granted), d, docs)
		if t.Failed() {
			t.Fatalf("in run %d", run)
		}
	}
}

// TestWhatAFileKeeps has pairs of documents in both orders in a collection. When both files are the
// same, also in what the manifest says of them, nobody can tell the documents apart.
func TestWhatAFileKeeps(t *testing.T) {
	e := func(pairs ...any) []byte {
		for i := 1; i < len(pairs); i += 2 {
			pairs[i] = typeCase{value: pairs[i]}.bsonOf(t)
		}
		return docOf(pairs...)
	}
	nan := func(bits string) rawValue { return rawValue{kindDouble, bits} }
	id := make([]byte, 16)
	for _, c := range []struct {
		name string
		a, b []byte
		lost bool
	}{
		{"null and missing", e("a", nil), e(), true},
		{"null and missing, around a declared field", e("d", nil), e(), true},
		{"the same with null inside", e("d", bson.D{{Key: "x", Value: nil}}), e(), true},
		{"int and long", e("a", int32(5)), e("a", int64(5)), true},
		{"int and double", e("a", int32(5)), e("a", 5.0), true},
		{"int and decimal", e("a", int32(5)), e("a", decimal(t, "5")), true},
		{"string and what it looks like", e("a", "true"), e("a", true), true},
		{"string and the JSON that it looks like", e("a", `{"x":"y"}`), e("a", bson.D{{Key: "x", Value: "y"}}), true},
		{"subtypes of binary data", e("a", bson.Binary{Subtype: 0, Data: id}), e("a", bson.Binary{Subtype: 3, Data: id}), true},
		{"the inner length of old binary data", e("a", bson.Binary{Subtype: 2}), e("a", bson.Binary{Subtype: 0}), true},
		{"NaN and NaN", e("a", nan("\x00\x00\x00\x00\x00\x00\xf8\x7f")), e("a", nan("\x01\x00\x00\x00\x00\x00\xf8\xff")), true},
		{"decimal NaN and NaN", e("a", decimal(t, "NaN")), e("a", rawValue{kindDecimal, strings.Repeat("\x01", 15) + "\xfe"}), true},
		{"zero and a coefficient that is too large", e("a", decimal(t, "0")), e("a", rawValue{kindDecimal, strings.Repeat("\xff", 14) + "\x41\x30"}), true},
		{"true and more than true", e("a", true), e("a", rawValue{kindBool, "\x02"}), true},
		{"the order of declared fields", e("a", true, "b", false), e("b", false, "a", true), true},
		{"the order of declared fields and others", e("a", true, "x", false), e("x", false, "a", true), true},
		{"a name with a dot and a field within", e("d.x", "y"), e("d", bson.D{{Key: "x", Value: "y"}}), true},
		{"int and long in JSON", e("a", bson.A{int32(5)}), e("a", bson.A{int64(5)}), true},
		{"bytes that are not UTF-8", e("a", "\xff"), e("a", "\uFFFD"), true},
		{"the names in an array", e("a", bson.A{true}), e("a", rawValue{kindArray, string(docOf("7", value{kindBool, []byte{1}}))}), true},
		{"a type and a document that looks like it", e("a", bson.A{oid}), e("a", bson.A{bson.D{{Key: "$oid", Value: oid.Hex()}}}), true},

		{"empty string and null", e("a", ""), e("a", nil), false},
		{"empty string and missing", e("a", ""), e(), false},
		{"empty document and missing", e("a", bson.D{}), e(), false},
		{"empty document and null", e("a", bson.D{}), e("a", nil), false},
		{"empty document and missing, around a declared field", e("d", bson.D{}), e(), false},
		{"empty document and empty array", e("a", bson.D{}), e("a", bson.A{}), false},
		{"undefined and null", e("a", bson.Undefined{}), e("a", nil), false},
		{"undefined and missing, around a declared field", e("d", bson.Undefined{}), e(), false},
		{"null and missing, undeclared", e("x", nil), e(), false},
		{"null and the word", e("a", nil), e("a", "NULL"), false},
		{"zeros", e("a", 0.0), e("a", math.Copysign(0, -1)), false},
		{"neighbours among doubles", e("a", 1.0), e("a", math.Nextafter(1, 2)), false},
		{"neighbours among longs", e("a", int64(1<<53)), e("a", int64(1<<53+1)), false},
		{"zeros of a decimal", e("a", decimal(t, "1.5")), e("a", decimal(t, "1.50")), false},
		{"signs of a decimal zero", e("a", decimal(t, "0")), e("a", decimal(t, "-0")), false},
		{"neighbours among dates", e("a", bson.DateTime(math.MinInt64)), e("a", bson.DateTime(math.MinInt64+1)), false},
		{"a UUID and other binary data", e("a", bson.Binary{Subtype: 4, Data: id}), e("a", bson.Binary{Subtype: 0, Data: id}), false},
		{"int and double in JSON", e("a", bson.A{int32(5)}), e("a", bson.A{5.0}), false},
		{"zeros in JSON", e("a", bson.A{0.0}), e("a", bson.A{math.Copysign(0, -1)}), false},
		{"number and string in JSON", e("a", bson.A{int32(5)}), e("a", bson.A{"5"}), false},
		{"null and missing in JSON", e("a", bson.A{nil}), e("a", bson.A{}), false},
		{"subtypes in JSON", e("a", bson.A{bson.Binary{Subtype: 0}}), e("a", bson.A{bson.Binary{Subtype: 5}}), false},
		{"the order in JSON", e("a", bson.D{{Key: "x"}, {Key: "y"}}), e("a", bson.D{{Key: "y"}, {Key: "x"}}), false},
		{"a name twice in JSON", e("a", bson.D{{Key: "x"}, {Key: "x"}}), e("a", bson.D{{Key: "x"}}), false},
		{"the order of undeclared fields", e("x", true, "y", true), e("y", true, "x", true), false},
		{"a name twice", e("a", true, "a", false), e("a", true), false},
		{"which came first", e("a", true, "a", false), e("a", false, "a", true), false},
		{"names of undeclared fields", e("x.y", true), e("x", bson.D{{Key: "y", Value: true}}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := func(docs ...[]byte) string {
				d := dataset("a", "b", "d.x")
				d.Extra = true
				_, tally, records := extracttest.Export(t, newReplay(t, docs...).source(t), d)
				return fmt.Sprint(tally.Columns, records)
			}
			if lost := file(c.a, c.b) == file(c.b, c.a); lost != c.lost {
				t.Errorf("the difference is lost: %t; want %t\n%s", lost, c.lost, file(c.a, c.b))
			}
		})
	}
}
