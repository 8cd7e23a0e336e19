package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// version is the form of the file that this code reads.
const version = 1

// The form of the file. Scalars remember their line, for error messages.
type (
	fileForm struct {
		Version   scalar         `yaml:"version"`
		Databases []databaseForm `yaml:"databases"`
	}
	databaseForm struct {
		Name     scalar        `yaml:"name"`
		Datasets []datasetForm `yaml:"datasets"`
	}
	datasetForm struct {
		Name       scalar       `yaml:"name"`
		Object     scalar       `yaml:"object"`
		Table      scalar       `yaml:"table"`
		Collection scalar       `yaml:"collection"`
		Query      scalar       `yaml:"query"`
		Requires   []scalar     `yaml:"requires"`
		Where      scalar       `yaml:"where"`
		OrderBy    []scalar     `yaml:"order_by"`
		Columns    []columnForm `yaml:"columns"`
		Exclude    []scalar     `yaml:"exclude"`
		Allow      []scalar     `yaml:"allow"`
		Extra      scalar       `yaml:"extra"`
	}
	columnForm struct {
		Name scalar
		As   scalar
		JSON bool
		Mask scalar
	}
	scalar struct {
		text string
		line int
	}
)

func (s *scalar) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: want a single value: quote one that begins with { or [", node.Line)
	}
	s.text, s.line = node.Value, node.Line
	return nil
}

// UnmarshalYAML reads a column: its name, or a mapping of name, as, json and mask.
func (c *columnForm) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&c.Name)
	}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want a column's name, or a mapping with name, as, json and mask", node.Line)
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		var err error
		switch key.Value {
		case "name":
			err = value.Decode(&c.Name)
		case "as":
			err = value.Decode(&c.As)
		case "mask":
			err = value.Decode(&c.Mask)
		case "json":
			if err = value.Decode(&c.JSON); err != nil {
				err = fmt.Errorf("line %d: json: want true or false", value.Line)
			}
		default:
			err = fmt.Errorf("line %d: unknown key %q: a column has name, as, json and mask", key.Line, key.Value)
		}
		if err != nil {
			return err
		}
	}
	if c.Name.text == "" {
		return fmt.Errorf("line %d: name: the column has none", node.Line)
	}
	return nil
}

// Parse reads a catalog. The name stands in errors, which list every problem found, each as
// "name:line: key: what is wrong".
func Parse(name string, data []byte) (*Catalog, error) {
	var form fileForm
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&form); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s:1: the catalog is empty", name)
		}
		return nil, explain(name, err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: a second document follows the catalog: keep one", name)
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, explain(name, err)
	}
	sum := sha256.Sum256(data)
	c := checker{file: name}
	c.values(&tree, "")
	catalog := &Catalog{digest: "sha256:" + hex.EncodeToString(sum[:]), databases: c.databases(form)}
	if err := errors.Join(c.problems...); err != nil {
		return nil, err
	}
	return catalog, nil
}

var (
	noList       = regexp.MustCompile("cannot unmarshal !!\\S+(?: `.*`)? into \\[\\]\\S+$")
	unknownField = regexp.MustCompile(`^line (\d+): field (\S+) not found in type \S+$`)
	atLine       = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)
)

// explain turns the YAML library's errors into ours.
func explain(name string, err error) error {
	lines := []string{err.Error()}
	var types *yaml.TypeError
	if errors.As(err, &types) {
		lines = types.Errors
	}
	problems := make([]error, len(lines))
	for i, line := range lines {
		line = unknownField.ReplaceAllString(line, `line $1: unknown key "$2"`)
		line = noList.ReplaceAllString(line, "want a list, such as [a, b]")
		if at := atLine.FindStringSubmatch(line); at != nil {
			problems[i] = fmt.Errorf("%s:%s: %s", name, at[1], line[len(at[0]):])
		} else {
			problems[i] = fmt.Errorf("%s: %s", name, line)
		}
	}
	return errors.Join(problems...)
}

// The forms of names. Dataset and object names become part of object keys and URLs; identifiers
// are quoted before they reach a server, and kept to what every server can quote. Lengths are
// checked apart: a bounded repetition would make the expressions large.
var (
	nameForm       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	identifierForm = regexp.MustCompile(`^[\pL_][\pL\pN_$-]*$`)
	readForm       = regexp.MustCompile(`(?i)^\s*(SELECT|WITH)\s`)
)

const (
	maxName       = 100
	maxIdentifier = 63 // in characters: PostgreSQL's limit, the smallest
)

func isName(s string) bool { return len(s) <= maxName && nameForm.MatchString(s) }

func isIdentifier(s string) bool {
	return utf8.RuneCountInString(s) <= maxIdentifier && identifierForm.MatchString(s)
}

// checker validates a parsed file and collects what is wrong with it.
type checker struct {
	file     string
	problems []error
}

func (c *checker) complain(line int, key, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s:%d: %s: %s", c.file, line, key, fmt.Sprintf(format, args...)))
}

// values complains of keys without a value and of those that stand twice, which decoding lets pass:
// a mask or a condition that got lost in the file would be none at all.
func (c *checker) values(node *yaml.Node, key string) {
	seen := map[string]int{}
	for i, inner := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			key = inner.Value
			c.once(seen, key, inner.Line, key, "the key")
			continue
		}
		if inner.ShortTag() == "!!null" {
			c.complain(max(inner.Line, 1), key, "has no value: give it one, or leave it out")
		}
		c.values(inner, key)
	}
}

func (c *checker) databases(form fileForm) []Database {
	if form.Version.text != fmt.Sprint(version) {
		c.complain(max(form.Version.line, 1), "version", "want %d, got %q", version, form.Version.text)
	}
	if len(form.Databases) == 0 {
		c.complain(1, "databases", "the catalog names none")
	}
	var out []Database
	seen := map[string]int{}
	for _, f := range form.Databases {
		c.unique(seen, f.Name, "database")
		if len(f.Datasets) == 0 {
			c.complain(f.Name.line, "datasets", "database %q has none", f.Name.text)
		}
		db := Database{Name: ingest.Database(f.Name.text)}
		names, objects := map[string]int{}, map[string]int{}
		for _, d := range f.Datasets {
			db.Datasets = append(db.Datasets, c.dataset(d, names, objects))
		}
		out = append(out, db)
	}
	return out
}

// unique checks a name's form and that it stands for the first time.
func (c *checker) unique(seen map[string]int, name scalar, what string) {
	switch first, repeated := seen[name.text]; {
	case name.text == "":
		c.complain(max(name.line, 1), "name", "a %s has no name", what)
	case !isName(name.text):
		c.complain(name.line, "name", "%q is no name for a %s: use letters, digits, _ and -", name.text, what)
	case repeated:
		c.complain(name.line, "name", "%s %q stands already on line %d", what, name.text, first)
	default:
		seen[name.text] = name.line
	}
}

func (c *checker) dataset(f datasetForm, names, objects map[string]int) Dataset {
	c.unique(names, f.Name, "dataset")
	d := Dataset{
		Name: f.Name.text, Object: f.Object.text,
		Table: f.Table.text, Collection: f.Collection.text, Query: strings.TrimSpace(f.Query.text),
	}
	if d.Object == "" {
		f.Object = f.Name
		d.Object = d.Name
	}
	if f.Object.text != "" {
		c.unique(objects, f.Object, "object")
	}
	for _, t := range f.Requires {
		d.Requires = append(d.Requires, c.table(t, "requires"))
	}
	for _, a := range f.Allow {
		d.Allow = append(d.Allow, a.text)
	}
	d.Columns = c.columns(f, d)
	for _, name := range f.Exclude {
		c.identifier(name, "exclude")
		d.Exclude = append(d.Exclude, name.text)
	}
	c.exclusions(f, d)
	d.Extra = c.extra(f, d)
	c.source(f, d)
	d.Where, d.OrderBy = c.condition(f, d), c.order(f, d)
	return d
}

// columns checks the columns' names, in the source and in the file, and their rules.
func (c *checker) columns(f datasetForm, d Dataset) (columns []Column) {
	names, labels := map[string]int{}, map[string]int{}
	for _, form := range f.Columns {
		col := Column{Name: form.Name.text, As: form.As.text, JSON: form.JSON, Mask: Mask{kind: form.Mask.text}}
		if d.Withholds(col.Name) != "" {
			c.complain(form.Name.line, "columns", "%q looks sensitive and is never exported by accident: name it under allow as well if it must be", col.Name)
		}
		if form.As.line > 0 && !isIdentifier(col.As) {
			c.complain(form.As.line, "as", "%q is no identifier: use letters, digits, _, $ and -", col.As)
		} else if c.identifier(form.Name, "columns") && c.once(names, col.Name, form.Name.line, "columns", "column") {
			c.once(labels, col.Label(), form.Name.line, "columns", "the file's column")
		}
		if form.Mask.line > 0 && !slices.Contains(maskKinds, col.Mask.kind) {
			c.complain(form.Mask.line, "mask", "%q is no mask: use %s", col.Mask.kind, strings.Join(maskKinds, ", "))
		}
		columns = append(columns, col)
	}
	if d.Collection == "" {
		return columns
	}
	plain := slices.DeleteFunc(slices.Clone(columns), func(col Column) bool { return !col.Mask.IsZero() })
	for i, col := range columns {
		if outer, held := whole(col.Name, plain); held && !col.Mask.IsZero() {
			c.complain(f.Columns[i].Name.line, "mask", "does not hide %q: the column %q holds it as well", col.Name, outer.Name)
		}
	}
	return columns
}

// whole returns the column that holds the named field of a document as a part of its own.
func whole(name string, columns []Column) (outer Column, found bool) {
	for _, col := range columns {
		if strings.HasPrefix(name, col.Name+".") {
			return col, true
		}
	}
	return Column{}, false
}

// once complains of what stands for the second time, and reports whether it is the first.
func (c *checker) once(seen map[string]int, name string, line int, key, what string) bool {
	first, repeated := seen[name]
	if repeated {
		c.complain(line, key, "%s %q stands already on line %d", what, name, first)
		return false
	}
	seen[name] = line
	return true
}

// exclusions checks that what is excluded would be exported otherwise.
func (c *checker) exclusions(f datasetForm, d Dataset) {
	seen := map[string]int{}
	for _, name := range f.Exclude {
		outer, held := whole(name.text, d.Columns)
		switch {
		case !c.once(seen, name.text, name.line, "exclude", "column"):
		case d.Query != "" || len(d.Columns) > 0 && d.Collection == "":
			c.complain(name.line, "exclude", "goes with a table that lists no columns: leave %q out of the columns instead", name.text)
		case slices.ContainsFunc(d.Columns, func(col Column) bool { return col.Name == name.text }):
			c.complain(name.line, "exclude", "%q stands among the columns", name.text)
		case held:
			c.complain(name.line, "exclude", "does not leave %q out: the column %q holds it", name.text, outer.Name)
		}
	}
}

// extra checks the rule that keeps undeclared fields.
func (c *checker) extra(f datasetForm, d Dataset) bool {
	switch {
	case f.Extra.line == 0:
		return false
	case f.Extra.text != "true" && f.Extra.text != "false":
		c.complain(f.Extra.line, "extra", "want true or false")
	case d.Collection == "":
		c.complain(f.Extra.line, "extra", "goes with a collection: a table has no other columns than its own")
	case f.Extra.text == "true" && slices.ContainsFunc(d.Columns, func(col Column) bool { return col.Label() == ExtraColumn }):
		c.complain(f.Extra.line, "extra", "the column %q of the file is taken: give the field another name with as", ExtraColumn)
	}
	return f.Extra.text == "true"
}

// condition checks the rule that chooses rows.
func (c *checker) condition(f datasetForm, d Dataset) string {
	where := strings.TrimSpace(f.Where.text)
	if f.Where.line == 0 {
		return ""
	}
	switch {
	case d.Query != "":
		c.complain(f.Where.line, "where", "goes with a table or a collection: put the condition into the query")
	case where == "":
		c.complain(f.Where.line, "where", "the condition is empty")
	case d.Collection != "":
		if err := checkFilter(where); err != nil {
			c.complain(f.Where.line, "where", "%v", err)
		}
	default:
		if err := checkSQL(where); err != nil {
			c.complain(f.Where.line, "where", "%v", err)
		}
	}
	return where
}

// order reads the columns to order by: each its name, and perhaps asc or desc.
func (c *checker) order(f datasetForm, d Dataset) (orders []Order) {
	seen := map[string]int{}
	for _, form := range f.OrderBy {
		if d.Query != "" {
			c.complain(form.line, "order_by", "goes with a table or a collection: put the order into the query")
			return nil
		}
		name, direction, _ := strings.Cut(strings.TrimSpace(form.text), " ")
		direction = strings.ToLower(strings.TrimSpace(direction))
		if direction != "" && direction != "asc" && direction != "desc" {
			c.complain(form.line, "order_by", "%q: want a column, and perhaps asc or desc after it", form.text)
			continue
		}
		if !c.identifier(scalar{text: name, line: form.line}, "order_by") || !c.once(seen, name, form.line, "order_by", "column") {
			continue
		}
		orders = append(orders, Order{Column: name, Descending: direction == "desc"})
	}
	return orders
}

// source checks that the dataset says in exactly one way where its rows come from.
func (c *checker) source(f datasetForm, d Dataset) {
	given := 0
	for _, s := range []scalar{f.Table, f.Collection, f.Query} {
		if s.text != "" {
			given++
		}
	}
	line := max(f.Name.line, 1)
	switch {
	case given != 1:
		c.complain(line, "name", "dataset %q needs exactly one of table, collection and query", d.Name)
	case d.Table != "":
		c.table(f.Table, "table")
	case d.Collection != "":
		c.table(f.Collection, "collection")
	case !readForm.MatchString(d.Query):
		c.complain(f.Query.line, "query", "want a statement that begins with SELECT or WITH")
	case checkSQL(d.Query) != nil:
		c.complain(f.Query.line, "query", "%v", checkSQL(d.Query))
	case len(d.Requires) == 0:
		c.complain(f.Query.line, "requires", "name the tables that the query of dataset %q reads", d.Name)
	}
	if len(d.Columns) == 0 && d.Table == "" && given == 1 {
		c.complain(line, "columns", "dataset %q must list its columns: only a table may leave them out", d.Name)
	}
	if len(d.Requires) > 0 && d.Query == "" {
		c.complain(f.Requires[0].line, "requires", "goes with a query")
	}
}

// table checks a table's name, which may be qualified by its schema.
func (c *checker) table(name scalar, key string) string {
	schema, table, qualified := strings.Cut(name.text, ".")
	if !isIdentifier(schema) || qualified && !isIdentifier(table) {
		c.complain(max(name.line, 1), key, "%q is no identifier: use letters, digits, _, $ and -, optionally after a schema and a dot", name.text)
	}
	return name.text
}

// identifier checks the name of a column, which in MongoDB may be a dotted path.
func (c *checker) identifier(name scalar, key string) bool {
	for part := range strings.SplitSeq(name.text, ".") {
		if !isIdentifier(part) {
			c.complain(max(name.line, 1), key, "%q is no identifier: use letters, digits, _, $ and -", name.text)
			return false
		}
	}
	return true
}
