package mongodb

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/encode"
)

// recorder turns raw documents into records, and notes what a reader of the file must know.
type recorder struct {
	csv     *encode.Writer
	columns []column
	values  []value // of the current document, by column
	top     *level
	ext     jsonWriter
	extra   *extra // nil without an extra column

	undeclared []*field // in the order in which they were found
	unnamed    int64    // occurrences of further undeclared fields
	repeated   int64    // fields that a document held twice
	bad        int64    // strings that were not UTF-8, outside of JSON
}

// column is one column of the file.
type column struct {
	catalog.Column
	mask   encode.Mask // nil for none
	census census
}

// maxUndeclared bounds how many undeclared fields are told apart: some collections use data as
// field names.
const maxUndeclared = 100

// newRecorder returns a recorder of those columns of the dataset, which withholds the others.
func newRecorder(sink io.Writer, d catalog.Dataset, columns []catalog.Column, withheld []ingest.Withheld) *recorder {
	r := &recorder{
		csv: encode.NewWriter(sink), columns: make([]column, len(columns)),
		values: make([]value, len(columns)), top: newLevel(columns, withheld),
	}
	if d.Extra {
		r.extra = newExtra(d)
	}
	for i, c := range columns {
		r.columns[i].Column = c
		if !c.Mask.IsZero() {
			r.columns[i].mask = c.Mask
		}
	}
	return r
}

// batch records a sequence of documents.
func (r *recorder) batch(docs []byte) error {
	for len(docs) > 0 {
		doc, rest, err := document(docs)
		if err == nil {
			err = r.record(doc)
		}
		if err != nil {
			return corruption(err)
		}
		docs = rest
	}
	return nil
}

// corruption names the failure that invalid BSON is; the sink's errors stay as they are.
func corruption(err error) error {
	if errors.Is(err, errCorrupt) {
		return ingest.Permanent(ingest.QueryFailed, err, "the server sent a document that is not valid BSON")
	}
	return err
}

// record writes one document.
func (r *recorder) record(doc []byte) error {
	clear(r.values)
	if r.extra != nil {
		r.extra.reset()
	}
	if err := r.collect(elements(doc), r.top, nil, scope{}); err != nil {
		return err
	}
	for i := range r.columns {
		if err := r.write(&r.columns[i], r.values[i]); err != nil {
			return err
		}
	}
	if r.extra != nil {
		r.csv.Raw(r.extra.field())
	}
	return r.csv.EndRow()
}

// scope is where in a document the recorder is.
type scope struct {
	depth   int
	covered bool // by a column that holds all of it, or by a rule that keeps all of it out
}

// collect finds the values of the columns among the elements of a document: the whole one, or the
// value of parent.
func (r *recorder) collect(rest []byte, at *level, parent *field, in scope) error {
	if in.depth >= maxDepth {
		return errCorrupt
	}
	expected := &at.first
	for len(rest) > 0 {
		f := *expected
		var name []byte
		var v value
		var err error
		if f != nil && named(rest, f.name) {
			name = rest[1 : 1+len(f.name)]
			v, rest, err = valueAt(rest, len(f.name)+2)
		} else if name, v, rest, err = element(rest); err == nil {
			f = r.field(at, parent, name, in)
			*expected = f
		}
		if err != nil {
			return err
		}
		if f == nil {
			if err := r.leave(parent, name, v, in); err != nil {
				return err
			}
			continue
		}
		expected = &f.next
		if err := r.take(f, parent, name, v, in); err != nil {
			return err
		}
	}
	return nil
}

// field returns the field of that name. One that nobody declared is kept in mind; nil when it is
// covered, or when there are too many of them.
func (r *recorder) field(at *level, parent *field, name []byte, in scope) *field {
	f := at.fields[string(name)]
	switch {
	case f != nil:
		return f
	case in.covered:
		return nil
	case len(r.undeclared) >= maxUndeclared:
		r.unnamed++
		return nil
	}
	path := string(name)
	if parent != nil {
		path = parent.path + "." + path
	}
	f = at.child(string(name), path)
	r.undeclared = append(r.undeclared, f)
	return f
}

// take keeps the value of a field for its column, or leaves it.
func (r *recorder) take(f, parent *field, name []byte, v value, in scope) error {
	switch {
	case f.withheld:
		in.covered = true
	case f.column == none:
	case r.values[f.column].kind == kindMissing:
		r.values[f.column] = v
		in.covered = true
	default:
		r.repeated++
		return r.leave(parent, name, v, in)
	}
	switch {
	case f.within != nil && v.kind == kindDocument:
		return r.enter(f, name, v, in)
	case in.covered:
		return nil
	case f.within != nil && v.kind == kindNull:
		return nil // the fields inside are missing, and nothing else is lost
	case f.within != nil && f.undeclared == 0:
		r.undeclared = append(r.undeclared, f)
	}
	f.undeclared++
	return r.leave(parent, name, v, in)
}

// enter looks for columns inside of a document.
func (r *recorder) enter(f *field, name []byte, v value, in scope) error {
	inside := elements(v.data)
	if r.extra == nil || in.covered {
		return r.collect(inside, f.within, f, scope{in.depth + 1, in.covered})
	}
	mark := r.extra.open(name)
	if err := r.collect(inside, f.within, f, scope{in.depth + 1, false}); err != nil {
		return err
	}
	r.extra.close(mark, len(inside) == 0)
	return nil
}

// leave puts a value that no column holds into the extra column, if there is one.
func (r *recorder) leave(parent *field, name []byte, v value, in scope) error {
	if r.extra == nil || in.covered {
		return nil
	}
	return r.extra.add(parent, name, v, in.depth)
}

// write writes one field. Invalid BSON inside of a document or array is errCorrupt.
func (r *recorder) write(c *column, v value) error {
	c.census.kinds[v.kind]++
	switch v.kind {
	case kindMissing, kindNull:
		r.csv.Null()
		return nil
	case kindString:
		r.string(c, text(v.data))
	case kindBool:
		r.csv.Bool(v.data[0] != 0)
	case kindInt32:
		r.csv.Int(int64(int32Of(v.data)))
	case kindInt64:
		n := int64Of(v.data)
		if n > widest || n < -widest {
			c.census.wide++
		}
		r.csv.Int(n)
	case kindDouble:
		r.csv.Float(doubleOf(v.data))
	case kindDate:
		r.csv.Time(time.UnixMilli(int64Of(v.data)))
	case kindDecimal:
		r.ext.dst = appendDecimal(r.ext.dst[:0], v.data)
		r.csv.Raw(r.ext.dst)
	case kindObjectID:
		r.ext.dst = hex.AppendEncode(r.ext.dst[:0], v.data)
		r.csv.Raw(r.ext.dst)
	case kindBinary:
		if id, ok := uuidOf(v.data); ok {
			c.census.uuids++
			r.csv.UUID(id)
		} else {
			_, content := binaryOf(v.data)
			r.csv.Hex(content)
		}
	default:
		if err := r.json(v); err != nil {
			return err
		}
	}
	if c.mask != nil {
		r.csv.Mask(c.mask)
	}
	return nil
}

// keepScratch is the largest scratch buffer that is kept: one giant document must not hold its
// memory for the rest of the extraction.
const keepScratch = 1 << 20

// json writes a value as Extended JSON.
func (r *recorder) json(v value) error {
	r.ext.dst = append(r.ext.dst[:0], '"')
	if err := r.ext.value(v, 0); err != nil {
		return err
	}
	if inner := r.ext.dst[1:]; bytes.IndexByte(inner, '"') < 0 && bytes.IndexByte(inner, ',') < 0 {
		r.csv.Raw(inner) // JSON has no line ends: an empty document or an array with little in it
	} else {
		r.ext.dst = append(r.ext.dst, '"')
		r.csv.Raw(r.ext.dst)
	}
	if cap(r.ext.dst) > keepScratch {
		r.ext.dst = nil
	}
	return nil
}

// string writes a string.
func (r *recorder) string(c *column, s []byte) {
	if !utf8.Valid(s) {
		s = bytes.ToValidUTF8(s, []byte("\uFFFD"))
		r.bad++
	}
	switch {
	case !c.JSON:
		r.csv.Text(s)
	case json.Valid(s):
		r.csv.JSON(s)
	default:
		c.census.prose++
		r.csv.Text(s)
	}
}

// rows returns how many records were written.
func (r *recorder) rows() int64 { return r.csv.Rows() }

// flush passes what is left to the sink.
func (r *recorder) flush() error { return r.csv.Flush() }

// found returns the columns, given as they were prepared, with the types that the documents had.
func (r *recorder) found(prepared []ingest.Column) []ingest.Column {
	columns := slices.Clone(prepared) // with the extra column, which is as it was
	for i := range r.columns {
		c := &r.columns[i]
		if source := c.census.sourceType(); source != "" {
			columns[i] = c.Describe(c.census.fileType(c.JSON), source)
		}
	}
	return columns
}

// warnings returns what a reader of the file must know, one sentence each.
func (r *recorder) warnings() []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	slices.SortFunc(r.undeclared, func(a, b *field) int { return strings.Compare(a.path, b.path) })
	for _, f := range r.undeclared {
		switch {
		case r.extra == nil:
			warn("the field %q is not declared and not exported: %d documents have it", f.path, f.undeclared)
		case r.extra.rule(f.path) == "":
			warn("the field %q is not declared and kept in %s: %d documents have it", f.path, catalog.ExtraColumn, f.undeclared)
		}
	}
	if r.unnamed > 0 {
		warn("more than %d fields are not declared: %d times there was one that is not named here", maxUndeclared, r.unnamed)
	}
	if r.repeated > 0 {
		where := ""
		if r.extra != nil {
			where = ", the others are in " + catalog.ExtraColumn + " unless they are masked"
		}
		warn("%d times a document held a field more than once: the first one is exported%s", r.repeated, where)
	}
	for i := range r.columns {
		nulls, missing := r.columns[i].census.kinds[kindNull], r.columns[i].census.kinds[kindMissing]
		if nulls > 0 && missing > 0 {
			warn("the column %q is NULL where the field is null, in %d documents, and where it is missing, in %d", r.columns[i].Label(), nulls, missing)
		}
	}
	dollars, bad := r.ext.dollars, r.bad+r.ext.bad
	if r.extra != nil {
		all = append(all, r.extra.warnings()...)
		dollars, bad = dollars+r.extra.json.dollars, bad+r.extra.json.bad
	}
	if dollars > 0 {
		warn("%d fields inside of documents have names that begin with $: a reader of Extended JSON may take them for types", dollars)
	}
	if bad > 0 {
		warn("%d strings are not UTF-8: their wrong bytes are exported as U+FFFD", bad)
	}
	return append(all, r.csv.Warnings()...)
}
