// Package lake writes the statements with which engines read the exports of a dataset where they lie:
// Athena, whose tables are those of AWS Glue, and DuckDB.
//
// The statements make a view that shows the newest export, with the types that the last one told. They
// hold no credentials, and say in comments what their engine loses of the dialect (see workers/encode) and
// what to do about it.
//
// Guarantees: a statement depends on nothing but its Source, so the same Source gives the same text. Names
// of all kinds are quoted. A view reads objects of its own dataset only, also where others share the folder
// or have names that begin alike.
//
// The newest export is the one whose job was accepted last. A view reads no export older than the one
// that it was made from, whose columns may have been others; nothing on its side notices when the catalog
// changes the columns, and then the statements must be run anew. What a job that was cancelled or
// goes on has exported is seen too, until it is removed: the manifests alone say what stands.
//
// Non-goals: asking an engine or S3 anything; partitions; showing older exports.
package lake
