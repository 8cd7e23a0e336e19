package ingest

// Database names one kind of source. The set of databases comes from the catalog; the constants
// exist so that each worker can say which one it serves.
type Database string

// The databases of the pharmacy chain.
const (
	MongoDB    Database = "mongodb"
	MySQL      Database = "mysql"
	PostgreSQL Database = "postgresql"
)

func (d Database) String() string { return string(d) }
