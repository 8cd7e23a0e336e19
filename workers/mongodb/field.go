package mongodb

import (
	"strings"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// level is the known fields of the documents at one place: of the collection, or inside of a field.
type level struct {
	fields map[string]*field
	first  *field // of the document read last
}

// field is a declared field, one on the way to a declared field, or one that was found undeclared.
type field struct {
	name     string // within its level
	path     string // from the top
	column   int    // of the whole value, or none
	within   *level // declared fields of the document that it holds
	withheld bool   // kept out of the file by a rule

	undeclared int64 // documents that hold something there for which there is no column

	// next is the field that followed in the document read last. Documents of a collection are much
	// alike: to compare a name with the expected one is cheaper than to look it up.
	next *field
}

// none is the column of a field that is not exported as a whole.
const none = -1

// newLevel returns the fields that the columns and the withheld names can mean.
func newLevel(columns []catalog.Column, withheld []ingest.Withheld) *level {
	top := &level{fields: map[string]*field{}}
	for i, c := range columns {
		for _, f := range top.declare(c.Name) {
			f.column = i
		}
	}
	for _, w := range withheld {
		for _, f := range top.declare(w.Name) {
			f.withheld = true
		}
	}
	return top
}

// declare returns the fields that a column's name can mean: the one of that very name, and with
// dots in it the one inside of other documents.
func (l *level) declare(name string) []*field {
	declared := []*field{l.child(name, name)}
	parts := strings.Split(name, ".")
	if len(parts) == 1 {
		return declared
	}
	f := l.child(parts[0], parts[0])
	for i, part := range parts[1:] {
		if f.within == nil {
			f.within = &level{fields: map[string]*field{}}
		}
		f = f.within.child(part, strings.Join(parts[:i+2], "."))
	}
	return append(declared, f)
}

// child returns the field of that name, which it makes if there is none.
func (l *level) child(name, path string) *field {
	if l.fields[name] == nil {
		l.fields[name] = &field{name: name, path: path, column: none}
	}
	return l.fields[name]
}
