package mongodb

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

func TestExtra(t *testing.T) {
	const kept = "the field %q is not declared and kept in _extra: 1 documents have it"
	const left = "the field %q is left out of _extra for its name: %d documents have it"
	const twice = "1 times a document held a field more than once: the first one is exported, the others are in _extra unless they are masked"
	type doc = bson.D
	e := func(pairs ...any) (d bson.D) {
		for i := 0; i < len(pairs); i += 2 {
			d = append(d, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
		}
		return d
	}
	for _, c := range []struct {
		name     string
		rules    string // columns first
		doc      bson.D
		want     string // the last field
		warnings []string
	}{
		{"nothing", "columns: [a]", e("a", true), "NULL", nil},
		{"one", "columns: [a]", e("a", true, "b", int64(5)), `{"b":5}`, []string{fmt.Sprintf(kept, "b")}},
		{
			"the document's order", "columns: [m]", e("z", oid, "m", true, "a", nil, "", "x"),
			`{"z":{"$oid":"655f000102030405060708ff"},"a":null,"":"x"}`, []string{fmt.Sprintf(kept, ""), fmt.Sprintf(kept, "a"), fmt.Sprintf(kept, "z")},
		},
		{"its own name", "columns: [a]", e("_extra", e("_extra", "x")), `{"_extra":{"_extra":"x"}}`, []string{fmt.Sprintf(kept, "_extra")}},
		{"excluded", "columns: [a]\nexclude: [notas]", e("notas", "x", "b", true), `{"b":true}`, []string{fmt.Sprintf(kept, "b")}},
		{"excluded inside", "columns: [a]\nexclude: [d.x]", e("d", e("x", true, "y", true)), `{"d":{"y":true}}`, []string{fmt.Sprintf(kept, "d.y")}},
		{"excluded inside of an array", "columns: [a]\nexclude: [d.x]", e("d", bson.A{e("x", true, "y", true), e("x", true), "x"}), `{"d":[{"y":true},{},"x"]}`, []string{fmt.Sprintf(kept, "d")}},
		{"sensitive", "columns: [a]", e("token", "T", "b", true), `{"b":true}`, []string{fmt.Sprintf(left, "token", 1), fmt.Sprintf(kept, "b")}},
		{
			"sensitive at any depth", "columns: [a]",
			e("b", bson.A{e("clave", "C", "x", bson.A{bson.A{e("y", true, "Password", "P")}}), e("clave", "C")}, "c", e("secreto", e("z", true))),
			`{"b":[{"x":[[{"y":true}]]},{}],"c":{}}`,
			[]string{fmt.Sprintf(left, "b.clave", 2), fmt.Sprintf(left, "b.x.Password", 1), fmt.Sprintf(left, "c.secreto", 1), fmt.Sprintf(kept, "b"), fmt.Sprintf(kept, "c")},
		},
		{"sensitive and allowed", "columns: [a]\nallow: [token, b.clave]", e("token", "T", "b", e("clave", "C")), `{"token":"T","b":{"clave":"C"}}`, []string{fmt.Sprintf(kept, "b"), fmt.Sprintf(kept, "token")}},
		{"beside a declared field of a document", "columns: [d.x]", e("d", e("w", true, "x", true, "y", true)), `{"d":{"w":true,"y":true}}`, []string{fmt.Sprintf(kept, "d.w"), fmt.Sprintf(kept, "d.y")}},
		{"deep beside it", "columns: [d.e.x]", e("d", e("e", e("x", true), "f", e("x", true))), `{"d":{"f":{"x":true}}}`, []string{fmt.Sprintf(kept, "d.f")}},
		{"nothing beside it", "columns: [d.x]", e("d", e("x", true), "b", true), `{"b":true}`, []string{fmt.Sprintf(kept, "b")}},
		{"in place of the document", "columns: [d.x]", e("d", bson.A{e("x", true)}), `{"d":[{"x":true}]}`, []string{fmt.Sprintf(kept, "d")}},
		{"an empty document", "columns: [d.x]", e("d", doc{}), `{"d":{}}`, nil},
		{"null in place of it", "columns: [d.x]", e("d", nil), "NULL", nil},
		{"the whole document is a column", "columns: [d, d.x]", e("d", e("x", true, "y", true)), "NULL", nil},
		{"twice", "columns: [a]", e("a", true, "a", false), `{"a":false}`, []string{twice}},
		{"twice undeclared", "columns: [a]", e("b", true, "b", false), `{"b":true,"b":false}`, []string{strings.Replace(fmt.Sprintf(kept, "b"), ": 1", ": 2", 1)}},
		{"by name and inside", "columns: [d.x]", e("d.x", true, "d", e("x", false)), `{"d":{"x":false}}`, []string{twice}},
		{"twice and masked", "columns: [{name: a, mask: redact}]", e("a", "A", "a", "B"), "NULL", []string{twice}},
		{"masked inside of an array", "columns: [{name: d.x, mask: redact}]", e("d", bson.A{e("x", "X", "y", true)}), `{"d":[{"y":true}]}`, []string{fmt.Sprintf(kept, "d")}},
		{
			"a name that begins with $", "columns: [a]", e("$oid", "x"), `{"$oid":"x"}`,
			[]string{fmt.Sprintf(kept, "$oid"), "1 fields inside of documents have names that begin with $: a reader of Extended JSON may take them for types"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newReplay(t, raw(t, c.doc))
			prepared, tally, records := extracttest.Export(t, s.source(t), declared(t, replayCollection, append(strings.Split(c.rules, "\n"), "extra: true")...))
			if got := records[0][len(records[0])-1]; got != (extracttest.Field{Text: c.want}) && got.String() != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
			want := ingest.Column{Name: "_extra", Type: ingest.TypeJSON, SourceType: "object"}
			for _, columns := range [][]ingest.Column{prepared.Columns, tally.Columns} {
				if last := columns[len(columns)-1]; last != want {
					t.Errorf("the last column is described as %+v; want %+v", last, want)
				}
			}
			slices.Sort(c.warnings)
			slices.Sort(tally.Warnings)
			if !slices.Equal(tally.Warnings, c.warnings) {
				t.Errorf("warnings are\n%q; want\n%q", tally.Warnings, c.warnings)
			}
		})
	}
}

// TestExtraHasNoBounds checks that fields too many to be told apart are kept all the same, and that
// the rules for names hold for them too.
func TestExtraHasNoBounds(t *testing.T) {
	var want []string
	var doc bson.D
	for i := range 2 * maxPaths {
		name := fmt.Sprint("x", i)
		want = append(want, `"`+name+`":true`)
		doc = append(doc, bson.E{Key: name, Value: true}, bson.E{Key: fmt.Sprint("token", i), Value: "T"})
	}
	s := newReplay(t, raw(t, doc))
	_, tally, records := extracttest.Export(t, s.source(t), declared(t, replayCollection, "columns: [a]", "extra: true"))
	if want := "{" + strings.Join(want, ",") + "}"; records[0][1].Text != want {
		t.Errorf("got %.200s…; want %.200s…", records[0][1].Text, want)
	}
	if len(tally.Warnings) > 3*maxUndeclared {
		t.Errorf("there are %d warnings", len(tally.Warnings))
	}
	counted := 0
	for _, warning := range tally.Warnings {
		switch {
		case strings.Contains(warning, "is left out of _extra for its name: 1 documents"):
			counted++
		case strings.HasSuffix(warning, " times there was one more field that is left out of _extra for its name"):
			var more int
			if _, err := fmt.Sscan(warning, &more); err != nil {
				t.Fatal(err)
			}
			counted += more
		}
	}
	if counted != 2*maxPaths {
		t.Errorf("%d fields are said to be left out; want %d", counted, 2*maxPaths)
	}
}
