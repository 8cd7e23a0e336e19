// Package extracttest is the conformance suite of engine.Source: what the contract says, every
// extractor is held to, on a real server of its database.
//
// A database's own test describes its server in a Fixture and calls Run. What only one database
// has (its type table, its settings) is tested in that database's package.
//
// Guarantees: the suite judges only what it can see from outside, through the contract and
// through the server's own administration; it reads the files with a parser of its own (ReadCSV),
// never with the code that wrote them.
package extracttest

import (
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/engine"
)

// Fixture is one database as the suite needs it.
type Fixture struct {
	// Source returns a source of the server's test database. It is called anew by each test.
	Source func(t *testing.T, access Access) engine.Source
	Server Server

	// Secret is the password that the source of WrongPassword logs in with: no error may show it.
	Secret string

	// Rows is the size of the large table: 100,000 unless the server is too slow for it.
	Rows int

	// Collections says that the tables are collections: they have no list of columns, so a
	// dataset names its columns and none of them can be missing. Datasets without columns,
	// queries and missing columns are not tested then.
	Collections bool

	// Batches says that rows which arrive together are one sign of life together, not one each.
	Batches bool

	// Pieces says that a table is read by several queries.
	Pieces bool

	// Slow is a query with one column "a" that runs for a minute before its first row.
	Slow string
	// Failing is a query with one column "a" that the server accepts and that fails while it runs.
	Failing string
	// Writing is a query with one column "a" that would change data, and could but for the
	// session being read-only.
	Writing string
	// Forbidden is a table that exists and that the source may not read; empty where the server
	// has no such thing.
	Forbidden string
}

// Access is how a source reaches its server.
type Access int

// The ways to reach a server.
const (
	Granted       Access = iota // right address, right credentials
	WrongPassword               // right address, wrong password
	ClosedPort                  // nothing listens
)

// Server is the database server as its administrator sees it.
type Server interface {
	// Create makes a table, or a collection, with the given rows. It is gone when the test ends.
	Create(t *testing.T, table Table)
	// Insert adds the rows of table to the one of that name, in a transaction of its own.
	Insert(t *testing.T, table Table)
	// Sessions returns how many sessions the sources have open on the server, and how many of
	// those are running a statement at this moment.
	Sessions(t *testing.T) (open, running int)
	// Kill ends all sessions of the sources. It skips the test where the server cannot.
	Kill(t *testing.T)
}

// Table is a table or collection. The values of its rows are nil for NULL, else int64, string,
// bool, float64, time.Time or []byte, as the columns' kinds say. The first column is the unique
// key, of kind Int.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]any
}

// Column is a column that takes NULL, unless it is the first.
type Column struct {
	Name string
	Kind Kind
}

// Kind is a type that every database has in some form.
type Kind int

// The kinds of columns.
const (
	Int     Kind = iota // whole number of 64 bits
	Text                // any length, any Unicode character but NUL
	Bool                // true or false
	Float               // double
	Instant             // point in time, milliseconds
	Binary              // bytes
)

// dataset returns the dataset that exports the table, with the named columns.
func (f Fixture) dataset(table string, columns ...string) catalog.Dataset {
	d := catalog.Dataset{Name: table, Object: table}
	if f.Collections {
		d.Collection = table
	} else {
		d.Table = table
	}
	for _, name := range columns {
		d.Columns = append(d.Columns, catalog.Column{Name: name})
	}
	return d
}

// query returns the dataset of a query with the one column "a".
func query(statement string, requires ...string) catalog.Dataset {
	return catalog.Dataset{Name: "query", Object: "query", Query: statement, Requires: requires, Columns: []catalog.Column{{Name: "a"}}}
}
