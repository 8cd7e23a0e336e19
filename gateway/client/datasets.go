package client

import (
	"context"
	"net/url"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Catalog is what the gateway would export.
type Catalog struct {
	Digest    string     `json:"catalog_digest"`
	Databases []Database `json:"databases"`
}

// Database is a source of the catalog.
type Database struct {
	Name     ingest.Database `json:"name"`
	Datasets []Dataset       `json:"datasets"`
}

// Dataset is what becomes one object.
type Dataset struct {
	Name    string            `json:"name"`
	Object  string            `json:"object"`
	Kind    string            `json:"kind"`              // table, collection or query
	Sources []string          `json:"sources"`           // the tables or collections that it reads
	Columns []string          `json:"columns,omitempty"` // none: every column that may be exported
	Exclude []string          `json:"exclude,omitempty"` // columns left out on purpose
	Masks   map[string]string `json:"masks,omitempty"`   // columns whose values are hidden, and how
}

// Datasets returns what each database would export.
func (c *Client) Datasets(ctx context.Context) (list Catalog, err error) {
	_, err = c.fetch(ctx, get("api", "ingesta", "datasets"), &list)
	return list, err
}

// DDL returns the statements that make a table of the dataset's files. The gateway knows the dialects
// athena, which is meant where none is named, and duckdb.
func (c *Client) DDL(ctx context.Context, database ingest.Database, dataset, dialect string) (string, error) {
	r := get("api", "ingesta", "datasets", string(database), dataset, "ddl")
	r.header = map[string][]string{"Accept": {"text/plain, application/sql, application/problem+json"}}
	if dialect != "" {
		r.query = url.Values{"dialect": {dialect}}
	}
	a, err := c.fetch(ctx, r, nil)
	return string(a.body), err
}
