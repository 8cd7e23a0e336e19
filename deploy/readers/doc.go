// Package readers holds the files of the lake against readers that are not ours: PostgreSQL's
// COPY, Python's csv and DuckDB, a columnar engine, beside the strict reader of the conformance
// suite. All of them must see the same rows, and DuckDB also the same values when it is told the
// types that the manifest names. The statements that the gateway hands out for DuckDB are run there, on
// copies of real files.
//
// It has tests only.
package readers
