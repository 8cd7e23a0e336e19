package mongodb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/encode"
)

// recorder turns raw documents into records.
type recorder struct {
	csv    *encode.Writer
	fields map[string]*field // of the document's top level
	values []value           // of the current document, by column
	json   []bool            // columns whose strings are JSON documents
	ext    jsonWriter

	undeclared map[string]*int64 // documents, by field
	unnamed    int64             // occurrences of further undeclared fields
	path       []byte            // scratch: the full name of an undeclared field
	repeated   int64             // fields that a document held twice
	bad        int64             // strings that were not UTF-8, outside of JSON
}

// field is a declared field, or one on the way to a declared field.
type field struct {
	path     string
	column   int               // of the whole value, or none
	within   map[string]*field // declared fields of the document that it holds
	withheld bool              // known, and kept out of the file
}

// none is the column of a field that is not exported as a whole.
const none = -1

// maxUndeclared bounds how many undeclared fields are told apart: some collections use data as
// field names.
const maxUndeclared = 100

func newRecorder(sink io.Writer, columns []catalog.Column, withheld []ingest.Withheld) *recorder {
	r := &recorder{
		csv: encode.NewWriter(sink), fields: map[string]*field{}, undeclared: map[string]*int64{},
		values: make([]value, len(columns)), json: make([]bool, len(columns)),
	}
	for i, c := range columns {
		r.json[i] = c.JSON
		for _, f := range r.declare(c.Name) {
			f.column = i
		}
	}
	for _, w := range withheld {
		for _, f := range r.declare(w.Name) {
			f.withheld = true
		}
	}
	return r
}

// declare makes the fields that a column's name can mean: the one of that very name, and with
// dots in it the one inside of other documents.
func (r *recorder) declare(name string) []*field {
	declared := []*field{child(r.fields, name, name)}
	parts := strings.Split(name, ".")
	if len(parts) == 1 {
		return declared
	}
	f := child(r.fields, parts[0], parts[0])
	for i, part := range parts[1:] {
		if f.within == nil {
			f.within = map[string]*field{}
		}
		f = child(f.within, part, strings.Join(parts[:i+2], "."))
	}
	return append(declared, f)
}

func child(fields map[string]*field, name, path string) *field {
	if fields[name] == nil {
		fields[name] = &field{path: path, column: none}
	}
	return fields[name]
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
	if err := r.collect(elements(doc), r.fields, "", 0); err != nil {
		return err
	}
	for i, v := range r.values {
		if err := r.write(v, r.json[i]); err != nil {
			return err
		}
	}
	return r.csv.EndRow()
}

// collect finds the values of the columns among the elements of a document.
func (r *recorder) collect(rest []byte, declared map[string]*field, path string, depth int) error {
	if depth >= maxDepth {
		return errCorrupt
	}
	for len(rest) > 0 {
		name, v, after, err := element(rest)
		if err != nil {
			return err
		}
		rest = after
		f := declared[string(name)]
		switch {
		case f == nil:
			r.miss(path, name)
			continue
		case f.withheld:
			continue
		case f.column != none && r.values[f.column].kind != kindMissing:
			r.repeated++
		case f.column != none:
			r.values[f.column] = v
		}
		if f.within == nil {
			continue
		}
		switch {
		case v.kind == kindDocument:
			if err := r.collect(elements(v.data), f.within, f.path, depth+1); err != nil {
				return err
			}
		case f.column == none && v.kind != kindNull && v.kind != kindUndefined:
			r.miss("", []byte(f.path)) // the declared fields are not in it, and something else is
		}
	}
	return nil
}

// miss counts a field that no column declares.
func (r *recorder) miss(path string, name []byte) {
	if path != "" {
		r.path = append(append(append(r.path[:0], path...), '.'), name...)
		name = r.path
	}
	if n := r.undeclared[string(name)]; n != nil {
		*n++
	} else if len(r.undeclared) < maxUndeclared {
		first := int64(1)
		r.undeclared[string(name)] = &first
	} else {
		r.unnamed++
	}
}

// write writes one field. Invalid BSON inside of a document or array is errCorrupt.
func (r *recorder) write(v value, isJSON bool) error {
	switch v.kind {
	case kindMissing, kindNull:
		r.csv.Null()
	case kindString:
		r.string(text(v.data), isJSON)
	case kindBool:
		r.csv.Bool(v.data[0] != 0)
	case kindInt32:
		r.csv.Int(int64(int32(le.Uint32(v.data))))
	case kindInt64:
		r.csv.Int(int64(le.Uint64(v.data)))
	case kindDouble:
		r.csv.Float(math.Float64frombits(le.Uint64(v.data)))
	case kindDate:
		r.csv.Time(time.UnixMilli(int64(le.Uint64(v.data))))
	case kindDecimal:
		r.ext.dst = appendDecimal(r.ext.dst[:0], v.data)
		r.csv.Raw(r.ext.dst)
	case kindObjectID:
		r.ext.dst = hex.AppendEncode(r.ext.dst[:0], v.data)
		r.csv.Raw(r.ext.dst)
	case kindBinary:
		if subtype, content := binaryOf(v.data); subtype == subtypeUUID && len(content) == 16 {
			r.csv.UUID([16]byte(content))
		} else {
			r.csv.Hex(content)
		}
	default:
		r.ext.dst = r.ext.dst[:0]
		if err := r.ext.value(v, 0); err != nil {
			return err
		}
		r.csv.Text(r.ext.dst)
		if cap(r.ext.dst) > keepScratch {
			r.ext.dst = nil
		}
	}
	return nil
}

// keepScratch is the largest scratch buffer that is kept: one giant document must not hold its
// memory for the rest of the extraction.
const keepScratch = 1 << 20

// string writes a string.
func (r *recorder) string(s []byte, isJSON bool) {
	if !utf8.Valid(s) {
		s = bytes.ToValidUTF8(s, []byte("\uFFFD"))
		r.bad++
	}
	if isJSON {
		r.csv.JSON(s)
		return
	}
	r.csv.Text(s)
}

// rows returns how many records were written.
func (r *recorder) rows() int64 { return r.csv.Rows() }

// flush passes what is left to the sink.
func (r *recorder) flush() error { return r.csv.Flush() }

// warnings returns what a reader of the file must know, one sentence each.
func (r *recorder) warnings() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.undeclared)) {
		all = append(all, fmt.Sprintf("the field %q is not declared and not exported: %d documents have it", name, *r.undeclared[name]))
	}
	if r.unnamed > 0 {
		all = append(all, fmt.Sprintf("more than %d fields are not declared: %d times there was one that is not named here", maxUndeclared, r.unnamed))
	}
	if r.repeated > 0 {
		all = append(all, fmt.Sprintf("%d times a document held a field more than once: the first one is exported", r.repeated))
	}
	if bad := r.bad + r.ext.bad; bad > 0 {
		all = append(all, fmt.Sprintf("%d strings are not UTF-8: their wrong bytes are exported as U+FFFD", bad))
	}
	return append(all, r.csv.Warnings()...)
}
