// Package migrations holds the schema of Flowlite's database as numbered migrations, and the
// migrator that applies them.
package migrations
