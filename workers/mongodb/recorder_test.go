package mongodb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// columnsNamed returns catalog columns of these names.
func columnsNamed(names ...string) []catalog.Column {
	columns := make([]catalog.Column, len(names))
	for i, name := range names {
		columns[i].Name = name
	}
	return columns
}

// raw returns the document as BSON.
func raw(t testing.TB, doc any) []byte {
	t.Helper()
	data, err := bson.Marshal(doc)
	if err != nil {
		t.Fatalf("marshalling %v: %v", doc, err)
	}
	return data
}

// recorded returns the file of the documents, and the warnings.
func recorded(t testing.TB, columns []catalog.Column, docs ...[]byte) (string, []string) {
	t.Helper()
	r, file := recorderOf(t, columns, docs...)
	return file, r.warnings()
}

// recorderOf returns a recorder that has recorded the documents, and the file.
func recorderOf(t testing.TB, columns []catalog.Column, docs ...[]byte) (*recorder, string) {
	t.Helper()
	var out bytes.Buffer
	r := newRecorder(&out, catalog.Dataset{}, columns, nil)
	if err := r.batch(slices.Concat(docs...)); err != nil {
		t.Fatalf("recording: %v", err)
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	return r, out.String()
}

// oid is an ObjectID that is easy to recognise.
var oid = bson.ObjectID{0x65, 0x5f, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff}

func decimal(t testing.TB, s string) bson.Decimal128 {
	t.Helper()
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		t.Fatalf("parsing %s: %v", s, err)
	}
	return d
}

func millis(year int, rest ...int) bson.DateTime {
	return bson.NewDateTimeFromTime(time.Date(year, 1, 2, 15, 30, 45, append(rest, 0)[0]*1e6, time.UTC))
}

func TestColumns(t *testing.T) {
	for _, c := range []struct {
		name     string
		columns  []string
		docs     []any
		want     string
		warnings []string
	}{
		{"the catalog's order, not the document's", []string{"b", "a"}, []any{bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 2}}}, "2,1\n", nil},
		{"missing, null and empty", []string{"a", "b", "c"}, []any{bson.D{{Key: "c", Value: ""}, {Key: "b", Value: nil}}}, ",,\"\"\n", nil},
		{
			"undeclared", []string{"a"},
			[]any{bson.D{{Key: "a", Value: 1}, {Key: "x", Value: 1}, {Key: "Ñ", Value: nil}}, bson.D{{Key: "x", Value: 2}, {Key: "a", Value: 3}}},
			"1\n3\n",
			[]string{`the field "x" is not declared and not exported: 2 documents have it`, `the field "Ñ" is not declared and not exported: 1 documents have it`},
		},
		{
			"repeated", []string{"a"}, []any{bson.D{{Key: "a", Value: 1}, {Key: "a", Value: 2}}}, "1\n",
			[]string{"1 times a document held a field more than once: the first one is exported"},
		},
		{
			"repeated after null", []string{"a", "b"}, []any{bson.D{{Key: "a", Value: nil}, {Key: "a", Value: 2}}}, ",\n",
			[]string{"1 times a document held a field more than once: the first one is exported"},
		},
		{"nested", []string{"d.calle", "d.geo.lat"}, []any{
			bson.D{{Key: "d", Value: bson.D{{Key: "geo", Value: bson.D{{Key: "lat", Value: 1.5}}}, {Key: "calle", Value: "x"}}}},
			bson.D{{Key: "d", Value: nil}}, bson.D{},
		}, "x,1.5\n,\n,\n", []string{}},
		{
			"nested with more inside", []string{"d.calle"}, []any{bson.D{{Key: "d", Value: bson.D{{Key: "cp", Value: 1}, {Key: "calle", Value: "x"}}}}}, "x\n",
			[]string{`the field "d.cp" is not declared and not exported: 1 documents have it`},
		},
		{
			"nested in what is no document", []string{"d.calle", "b"}, []any{bson.D{{Key: "d", Value: bson.A{bson.D{{Key: "calle", Value: "x"}}}}}}, ",\n",
			[]string{`the field "d" is not declared and not exported: 1 documents have it`},
		},
		{"the document and a part of it", []string{"d", "d.calle"}, []any{bson.D{{Key: "d", Value: bson.D{{Key: "calle", Value: "x"}}}}}, "\"{\"\"calle\"\":\"\"x\"\"}\",x\n", []string{}},
		{"a name with a dot", []string{"d.calle"}, []any{bson.D{{Key: "d.calle", Value: "x"}}}, "x\n", nil},
		{
			"one column", []string{"a"}, []any{bson.D{{Key: "a", Value: nil}}, bson.D{}, bson.D{{Key: "a", Value: ""}}}, "\n\n\"\"\n",
			[]string{
				"2 records are a single NULL: an empty line, which some readers skip",
				`the column "a" is NULL where the field is null, in 1 documents, and where it is missing, in 1`,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var docs [][]byte
			for _, d := range c.docs {
				docs = append(docs, raw(t, d))
			}
			got, warnings := recorded(t, columnsNamed(c.columns...), docs...)
			if got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
			slices.Sort(c.warnings)
			slices.Sort(warnings)
			if !slices.Equal(warnings, c.warnings) {
				t.Errorf("warnings are %q; want %q", warnings, c.warnings)
			}
		})
	}
}

func TestWithheldFieldsAreNotCalledUndeclared(t *testing.T) {
	var out bytes.Buffer
	r := newRecorder(&out, catalog.Dataset{}, columnsNamed("a"), []ingest.Withheld{{Name: "password"}})
	if err := r.batch(raw(t, bson.D{{Key: "a", Value: 1}, {Key: "password", Value: "x"}})); err != nil {
		t.Fatal(err)
	}
	if w := r.warnings(); len(w) > 0 {
		t.Errorf("warnings are %q; want none: the manifest names what is withheld", w)
	}
}

func TestUndeclaredFieldsAreBounded(t *testing.T) {
	var out bytes.Buffer
	r := newRecorder(&out, catalog.Dataset{}, columnsNamed("a"), nil)
	for i := range 3 * maxUndeclared {
		if err := r.batch(raw(t, bson.D{{Key: "a", Value: 1}, {Key: fmt.Sprint("x", i), Value: 1}})); err != nil {
			t.Fatal(err)
		}
	}
	warnings := r.warnings()
	if len(warnings) != maxUndeclared+1 || !strings.Contains(warnings[maxUndeclared], "200 times") {
		t.Errorf("%d warnings, the last %q; want %d and one that counts the other 200", len(warnings), warnings[len(warnings)-1], maxUndeclared)
	}
}

func TestStringsThatAreNotUTF8(t *testing.T) {
	got, warnings := recorded(t, columnsNamed("a", "b"), raw(t, bson.D{{Key: "a", Value: "x\xffy"}, {Key: "b", Value: bson.A{"\xc3(", "ok"}}}))
	if want := "x\uFFFDy,\"[\"\"\uFFFD(\"\",\"\"ok\"\"]\"\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if want := []string{"2 strings are not UTF-8: their wrong bytes are exported as U+FFFD"}; !slices.Equal(warnings, want) {
		t.Errorf("warnings are %q; want %q", warnings, want)
	}
}

func TestDecimalsAsTheDriverPrintsThem(t *testing.T) {
	var data [16]byte
	check := func(high, low uint64) {
		t.Helper()
		le.PutUint64(data[:], low)
		le.PutUint64(data[8:], high)
		want := bson.NewDecimal128(high, low).String()
		if strings.Trim(want, "-") == "NaN" {
			want = "NaN" // it has no sign worth telling
		}
		if got := string(appendDecimal(nil, data[:])); got != want {
			t.Errorf("%#x %#x is %s; want %s", high, low, got, want)
		}
	}
	for _, s := range []string{
		"0", "-0", "1", "-1", "0.001", "0.0000001", "0.00000012", "1E-6176", "9.999999999999999999999999999999999E+6144",
		"1E+6111", "100", "1.00", "1E+2", "10000000000000000", "100000000000000000", "1000000000000000001", "123456789012345678901234567890.1234",
		"0E+10", "0E-10", "0.0", "Infinity", "-Infinity", "NaN",
	} {
		high, low := decimal(t, s).GetBytes()
		check(high, low)
	}
	check(0x6C10000000000000, 0)                                            // the other form of the exponent
	for _, high := range []uint64{0x3041FFFFFFFFFFFF, 0x3041ED09BEAD87C1} { // coefficients that are too large count as zero
		le.PutUint64(data[:], ^uint64(0))
		le.PutUint64(data[8:], high)
		if got := string(appendDecimal(nil, data[:])); got != "0" {
			t.Errorf("%#x with a coefficient that is too large is %s; want 0, as the specification says", high, got)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		high, low := random.Uint64(), random.Uint64()
		if high>>61&3 == 3 && high>>59&3 != 3 || high&(1<<49-1) > 0x1ED09BEAD87C0 {
			continue // not canonical: the driver prints digits that the specification takes for zero
		}
		check(high, low)
		check(0x3040000000000000|high&0x800000000000FFFF, low)
	}
}

// unquoted returns the text of which inner is the inside of the quotes.
func unquoted(inner []byte) []byte { return bytes.ReplaceAll(inner, []byte(`""`), []byte(`"`)) }

func TestCorruptDocumentsAreRefused(t *testing.T) {
	good := raw(t, bson.D{{Key: "a", Value: "x"}})
	for name, doc := range map[string][]byte{
		"too short":             good[:3],
		"length beyond the end": append([]byte{255}, good[1:]...),
		"negative length":       {255, 255, 255, 255, 0},
		"no closing zero":       append(bytes.Clone(good[:len(good)-1]), 1),
		"unknown type":          {8, 0, 0, 0, 0x20, 'a', 0, 0},
		"name without an end":   {7, 0, 0, 0, 1, 'a', 0},
		"value cut off":         {10, 0, 0, 0, 1, 'a', 0, 1, 2, 0},
		"string too long":       {15, 0, 0, 0, 2, 'a', 0, 200, 0, 0, 0, 'x', 0, 0, 0},
		"nested too deep":       nested(maxDepth + 1),
	} {
		t.Run(name, func(t *testing.T) {
			err := newRecorder(io.Discard, catalog.Dataset{}, columnsNamed("a"), nil).batch(doc)
			failure, ok := errors.AsType[*ingest.Error](err)
			if !ok || failure.Code != ingest.QueryFailed || failure.Transient {
				t.Errorf("recording it returned %v; want a permanent query_failed", err)
			}
		})
	}
	if err := newRecorder(io.Discard, catalog.Dataset{}, columnsNamed("a"), nil).batch(nested(100)); err != nil {
		t.Errorf("a document as deep as the server allows is refused: %v", err)
	}
}

// nested returns a document whose field a holds documents inside of each other.
func nested(depth int) []byte {
	doc := []byte{5, 0, 0, 0, 0}
	for range depth {
		outer := append([]byte{0, 0, 0, 0, byte(kindDocument), 'a', 0}, doc...)
		outer = append(outer, 0)
		le.PutUint32(outer, uint32(len(outer)))
		doc = outer
	}
	return doc
}

func TestTheSinksErrorComesBackUnchanged(t *testing.T) {
	broken := errors.New("broken")
	r := newRecorder(brokenSink{broken}, catalog.Dataset{}, columnsNamed("a"), nil)
	doc := raw(t, bson.D{{Key: "a", Value: strings.Repeat("x", 1<<20)}})
	if err := r.batch(doc); err != broken { //nolint:errorlint // the contract is the very error, not one that wraps it
		t.Errorf("got %v; want the very error of the sink", err)
	}
}

type brokenSink struct{ err error }

func (s brokenSink) Write([]byte) (int, error) { return 0, s.err }

func FuzzRecord(f *testing.F) {
	for _, k := range kinds() {
		v := anyOf(rand.New(rand.NewPCG(uint64(k), 2)), k)
		f.Add(raw(f, bson.D{{Key: "a", Value: v}, {Key: "b", Value: bson.D{{Key: "c", Value: 1}, {Key: "d", Value: v}}}}))
	}
	columns := []catalog.Column{{Name: "a"}, {Name: "b.c"}, {Name: "j", JSON: true}}
	d := catalog.Dataset{Columns: columns, Extra: true}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var out bytes.Buffer
		r := newRecorder(&out, d, columns, nil)
		if err := r.batch(doc); err == nil {
			if err := r.flush(); err != nil {
				t.Fatal(err)
			}
			records, err := extracttest.ReadCSV(out.Bytes())
			if err != nil {
				t.Fatalf("reading %q: %v", out.Bytes(), err)
			}
			for _, record := range records {
				if extra := record[3]; !extra.Null && !json.Valid([]byte(extra.Text)) {
					t.Fatalf("not JSON: %q", extra.Text)
				}
			}
		} else if failure, ok := errors.AsType[*ingest.Error](err); !ok || failure.Code != ingest.QueryFailed {
			t.Fatalf("the error is %v; want a query_failed", err)
		}
		// As a value of its own, whatever the driver takes for a document must become JSON.
		whole, rest, err := document(doc)
		if err != nil || len(rest) > 0 {
			return
		}
		var w jsonWriter
		if err := w.value(value{kindDocument, whole}, 0); err != nil {
			if bson.Raw(doc).Validate() == nil && !errors.Is(err, errCorrupt) {
				t.Fatalf("valid BSON is refused: %v", err)
			}
			return
		}
		if text := unquoted(w.dst); !json.Valid(text) {
			t.Fatalf("not JSON: %q", text)
		}
	})
}

// receta is a document as the pharmacy's service writes it: with none to four products, and with or
// without a file.
func receta(i int) bson.D {
	medicamentos := []string{"Paracetamol 500 mg", "Ibuprofeno 400 mg, caja x 20", "Omeprazol 20 mg", `Jarabe "Niños Sanos" 120 mL`, "Losartán 50 mg", "Suero fisiológico\n0,9 % x 1 L"}
	productos := bson.A{}
	for j := range i % 5 {
		productos = append(productos, bson.D{
			{Key: "id", Value: int32((i*31+j*17)%300 + 1)}, {Key: "nombre", Value: medicamentos[(i+j*5)%len(medicamentos)]}, {Key: "cantidad", Value: int32((i+j)%6 + 1)},
		})
	}
	at := millis(2025) + bson.DateTime(i*7919_037)
	doc := bson.D{
		{Key: "_id", Value: oid},
		{Key: "pacienteDNI", Value: fmt.Sprint(40_000_000 + i)},
		{Key: "medicoCMP", Value: fmt.Sprintf("%06d", 10_000+i%500*3)},
		{Key: "fechaEmision", Value: at},
		{Key: "productos", Value: productos},
	}
	switch i % 8 {
	case 0:
		doc = append(doc, bson.E{Key: "archivoPDF", Value: nil})
	case 1:
	default:
		doc = append(doc, bson.E{Key: "archivoPDF", Value: fmt.Sprintf("recetas/2025/receta_%06d.pdf", i)})
	}
	return append(doc,
		bson.E{Key: "estadoValidacion", Value: []string{"PENDIENTE", "VALIDADA", "RECHAZADA"}[i%3]},
		bson.E{Key: "createdAt", Value: at + 300_000}, bson.E{Key: "updatedAt", Value: at + 93_600_000},
		bson.E{Key: "__v", Value: int32(0)})
}

// recetas returns a batch of n documents, and the dataset that reads them.
func recetas(t testing.TB, n int) (batch []byte, d catalog.Dataset) {
	t.Helper()
	for i := range n {
		batch = append(batch, raw(t, receta(i))...)
	}
	return batch, dataset("_id", "pacienteDNI", "medicoCMP", "fechaEmision", "productos", "archivoPDF", "estadoValidacion", "createdAt", "updatedAt")
}

func TestDocumentsAllocateNothing(t *testing.T) {
	batch, d := recetas(t, 100)
	for _, d.Extra = range []bool{false, true} {
		r := newRecorder(io.Discard, d, d.Columns, nil)
		record := func() {
			if err := r.batch(batch); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			record()
		}
		if got := testing.AllocsPerRun(100, record); got != 0 {
			t.Errorf("a hundred documents cost %v allocations (extra: %t); want none", got, d.Extra)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	const n = 1000
	batch, d := recetas(b, n)
	r := newRecorder(io.Discard, d, d.Columns, nil)
	b.SetBytes(int64(len(batch) / n))
	b.ReportAllocs()
	for i := 0; i < b.N; i += n {
		if err := r.batch(batch); err != nil {
			b.Fatal(err)
		}
	}
}
