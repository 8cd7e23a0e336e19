package mongodb

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pharmavida/ingesta/shared/catalog"
)

// extra gathers what no column of the current document's record holds, as one document of Extended
// JSON with the fields in the order of the source. Nobody has looked at such fields, so the rules
// for names hold at every depth: what is excluded, masked or looks sensitive is left out. (Only the
// scope of a piece of code is not looked into.)
type extra struct {
	json jsonWriter // empty, or a field of the file without its end
	path []byte     // of the value being written
	rule func(path string) string
	told map[string]*omission // what rule says, by path; nil when it says nothing

	unnamed int64 // fields left out for a sensitive name, of paths that are not kept in told
}

// omission counts the fields of one path that a rule leaves out.
type omission struct {
	rule  string
	count int64
}

// masked is the rule for a column that has a mask: its values are nowhere else in the file.
const masked = "masked"

// maxPaths bounds for how many paths it is kept what the rules say.
const maxPaths = 1000

// newExtra returns an extra for the dataset.
func newExtra(d catalog.Dataset) *extra {
	masks := map[string]bool{}
	for _, c := range d.Columns {
		masks[c.Name] = !c.Mask.IsZero()
	}
	return &extra{told: map[string]*omission{}, rule: func(path string) string {
		if masks[path] {
			return masked
		}
		return d.Withholds(path)
	}}
}

// reset forgets the document before.
func (x *extra) reset() {
	if cap(x.json.dst) > keepScratch {
		x.json.dst = nil
	}
	x.json.dst = x.json.dst[:0]
}

// field returns the field of the file: empty for NULL.
func (x *extra) field() []byte {
	if len(x.json.dst) == 0 {
		return nil
	}
	x.json.raw(`}"`)
	return x.json.dst
}

// add adds a field of the document that is the value of parent, or of the whole document.
func (x *extra) add(parent *field, name []byte, v value, depth int) error {
	x.enter(parent, name)
	if x.hides() {
		return nil
	}
	x.name(name)
	return x.value(v, depth)
}

// open begins a field whose value is a document of which some may be added. It returns what close
// needs to end it.
func (x *extra) open(name []byte) (mark int) {
	mark = len(x.json.dst)
	x.name(name)
	x.json.raw(`{`)
	return mark
}

// close ends the field. Nothing remains of one to which nothing was added, unless its document was
// empty by itself.
func (x *extra) close(mark int, empty bool) {
	if !empty && x.json.dst[len(x.json.dst)-1] == '{' {
		x.json.dst = x.json.dst[:mark]
		return
	}
	x.json.raw(`}`)
}

// name begins the document, or goes on with it, and writes the name of a field.
func (x *extra) name(name []byte) {
	if len(x.json.dst) == 0 {
		x.json.raw(`"{`)
	} else if x.json.dst[len(x.json.dst)-1] != '{' {
		x.json.raw(`,`)
	}
	x.json.name(name)
}

// value writes the value at the current path. An array adds nothing to the path, as in the server's
// own paths.
func (x *extra) value(v value, depth int) error {
	if v.kind != kindDocument && v.kind != kindArray {
		return x.json.value(v, depth)
	}
	if depth >= maxDepth {
		return errCorrupt
	}
	opening, closing := `{`, `}`
	if v.kind == kindArray {
		opening, closing = `[`, `]`
	}
	x.json.raw(opening)
	above, first := len(x.path), true
	for rest := elements(v.data); len(rest) > 0; {
		name, inner, after, err := element(rest)
		if err != nil {
			return err
		}
		rest = after
		if v.kind == kindDocument {
			x.path = append(append(x.path[:above], '.'), name...)
			if x.hides() {
				continue
			}
		}
		if !first {
			x.json.raw(`,`)
		}
		first = false
		if v.kind == kindDocument {
			x.json.name(name)
		}
		if err := x.value(inner, depth+1); err != nil {
			return err
		}
	}
	x.path = x.path[:above]
	x.json.raw(closing)
	return nil
}

// enter sets the path to that of the named field within parent.
func (x *extra) enter(parent *field, name []byte) {
	x.path = x.path[:0]
	if parent != nil {
		x.path = append(append(x.path, parent.path...), '.')
	}
	x.path = append(x.path, name...)
}

// hides reports whether a rule leaves the current path out, and counts it then.
func (x *extra) hides() bool {
	o, known := x.told[string(x.path)]
	if !known {
		if rule := x.rule(string(x.path)); rule != "" {
			o = &omission{rule: rule}
		}
		if len(x.told) < maxPaths {
			x.told[string(x.path)] = o
		} else if o != nil && o.rule == catalog.SensitiveName {
			x.unnamed++
		}
	}
	if o == nil {
		return false
	}
	o.count++
	return true
}

// warnings returns what was left out for its name alone. Of the other rules the manifest tells.
func (x *extra) warnings() []string {
	var all []string
	unnamed := x.unnamed
	for _, path := range slices.Sorted(maps.Keys(x.told)) {
		switch o := x.told[path]; {
		case o == nil || o.rule != catalog.SensitiveName:
		case len(all) < maxUndeclared:
			all = append(all, fmt.Sprintf("the field %q is left out of %s for its name: %d documents have it", path, catalog.ExtraColumn, o.count))
		default:
			unnamed += o.count
		}
	}
	if unnamed > 0 {
		all = append(all, fmt.Sprintf("%d times there was one more field that is left out of %s for its name", unnamed, catalog.ExtraColumn))
	}
	return all
}
