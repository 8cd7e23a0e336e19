// Package catalog says what each database exports: which tables, collections and queries, which
// of their columns, and under which object name. What is exported is configuration, never code.
//
// The built-in catalog (datasets.yaml) holds the exports of the original system; a file of the
// same form replaces it. Parsing is strict: an unknown key, a repeated name or an identifier that
// could not be quoted safely is an error that names the file, the line and the key.
//
// The catalog is the only source of SQL in the system. Commands and requests name datasets.
package catalog

import (
	_ "embed" // for the built-in catalog
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

//go:embed datasets.yaml
var builtin []byte

// Catalog is a validated set of datasets. It is immutable.
type Catalog struct {
	digest    string
	databases []Database
}

// Database is one database and what it exports, in the order of the file.
type Database struct {
	Name     ingest.Database
	Datasets []Dataset
}

// Dataset is one named export. Exactly one of Table, Collection and Query is set.
type Dataset struct {
	Name   string // unique within the database
	Object string // the object's name in the lake; the dataset's name unless the catalog says otherwise

	Table      string   // table or view, of the connection's database; may be schema.table
	Collection string   // MongoDB collection
	Query      string   // SELECT statement, without a trailing semicolon
	Requires   []string // tables that a Query reads: checked before it runs

	// Where keeps the rows for which it is true, of a table or a collection: a condition in the
	// server's SQL, where unknown is not true, or MongoDB's filter in Extended JSON.
	Where string
	// OrderBy is the order of the rows of a table or a collection; empty is the server's own.
	OrderBy []Order

	// Columns are exported in this order. Empty means all columns of the table, as the server
	// lists them; never empty for a query or a collection.
	Columns []Column
	// Exclude names columns that are not exported: of a table without Columns, or fields of a
	// collection that are known and left out on purpose. None lies within one of the Columns.
	Exclude []string
	// Allow names sensitive columns that are exported all the same, see Withholds.
	Allow []string
	// Extra adds the ExtraColumn to the file of a collection.
	Extra bool
}

// ExtraColumn is the name of the last column of a collection's file, if the dataset asks for it:
// one JSON document of all fields that the columns leave out without a rule.
const ExtraColumn = "_extra"

// Order is one column to order by.
type Order struct {
	Column     string
	Descending bool
}

// sensitive matches column names that are withheld unless allowed. An ñ may be one character, or an
// n and a combining tilde.
var sensitive = regexp.MustCompile(`(?i)pass(word|wd|phrase)?|contrase(ñ|n\x{303}?)a|clave|hash|token|secret`)

// The rules that keep a column out of the file.
const (
	Excluded      = "excluded"       // the catalog excludes it
	SensitiveName = "sensitive_name" // it is named like a secret, and not allowed
)

// Withholds returns the rule that keeps the named column of this dataset out of the file, or ""
// when it may be exported.
func (d Dataset) Withholds(column string) string {
	switch {
	case slices.Contains(d.Exclude, column):
		return Excluded
	case sensitive.MatchString(column) && !slices.Contains(d.Allow, column):
		return SensitiveName
	default:
		return ""
	}
}

// Sources returns the tables or collections that must exist before the dataset is read.
func (d Dataset) Sources() []string {
	switch {
	case d.Table != "":
		return []string{d.Table}
	case d.Collection != "":
		return []string{d.Collection}
	default:
		return d.Requires
	}
}

// Load returns the catalog in the named file, or the built-in one when path is empty.
func Load(path string) (*Catalog, error) {
	if path == "" {
		return Parse("datasets.yaml (built in)", builtin)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	return Parse(path, data)
}

// Digest identifies the catalog's content: "sha256:" and the hash of its file. Gateway and
// workers compare it to notice that they read different catalogs.
func (c *Catalog) Digest() string { return c.digest }

// Databases returns the databases in the order of the file. The caller must not change them.
func (c *Catalog) Databases() []Database { return c.databases }

// Database returns the named database, and whether the catalog has it.
func (c *Catalog) Database(name ingest.Database) (Database, bool) {
	for _, db := range c.databases {
		if db.Name == name {
			return db, true
		}
	}
	return Database{}, false
}

// Dataset returns the named dataset, and whether the database has it.
func (db Database) Dataset(name string) (Dataset, bool) {
	for _, d := range db.Datasets {
		if d.Name == name {
			return d, true
		}
	}
	return Dataset{}, false
}

// Choose returns the named datasets, in the order of the file, or all of them when none is named.
func (db Database) Choose(names []string) ([]Dataset, error) {
	if len(names) == 0 {
		return db.Datasets, nil
	}
	for _, name := range names {
		if _, ok := db.Dataset(name); !ok {
			return nil, fmt.Errorf("database %s has no dataset %q: choose from %s", db.Name, name, strings.Join(db.Names(), ", "))
		}
	}
	var chosen []Dataset
	for _, d := range db.Datasets {
		if slices.Contains(names, d.Name) {
			chosen = append(chosen, d)
		}
	}
	return chosen, nil
}

// Names returns the names of the datasets, in the order of the file.
func (db Database) Names() []string {
	names := make([]string, len(db.Datasets))
	for i, d := range db.Datasets {
		names[i] = d.Name
	}
	return names
}
