// Package migrations holds the schema of Flowlite's database as numbered SQL migrations, and the
// migrator that applies them, takes them back, and tells where a database stands. It works on
// MySQL 8 and MariaDB 10.6 and later.
//
// The migrations are the embedded files sql/NNNNNN_name.up.sql and .down.sql, run by
// golang-migrate. What it keeps in a database stays as it keeps it, in the table
// schema_migrations: its own command can go on where this package stopped, and the other way
// round. Beside it, the table schema_history is a log of every step with its time; rows are only
// ever added to it.
//
// Guarantees:
//
//   - One migrator at a time. Whatever changes something holds a lock of the server's (GET_LOCK)
//     that is named after the database; a second migrator waits for it, says so in the log, and
//     then looks anew at what is left to do. golang-migrate's own command is kept out by the lock
//     that it uses.
//   - No step is taken without the lock: both belong to the same connection. A step whose
//     connection ends, ends with it, and leaves the database dirty; a server that is slow to notice
//     keeps the lock for as long as it works on. Only what a caller does in Exclusive over other
//     connections can outlive a lost lock; its context is then cancelled, and Exclusive fails with
//     ErrLockLost.
//   - A database that Alembic made is adopted: version 1 is recorded, and none of its tables and
//     rows is touched. One that holds part of the schema, or another one, is refused with everything
//     that is wrong with it; so is one in which Alembic's revision stands without any of the tables.
//     A view is no table, nor is one of another engine than InnoDB. Nullability, keys and defaults
//     are not compared.
//   - A recorded version is not believed by itself, since another application may use golang-migrate
//     in the same database: while tables or columns of that version are missing, or are of other
//     types, every change but Force is refused with a *MismatchError.
//   - A table schema_migrations or schema_history with other columns is another program's: nothing is
//     read from it or written into it, and every change is refused with a *ForeignTableError.
//   - No table is dropped while a foreign key of another table refers to it, as far as the login can
//     see it: nothing is done, and the *ReferencedError names the keys.
//   - Status, History, Verify and RowCounts change nothing, and make no table.
//   - No password is in an error, a log line or a returned value.
//
// What happens when it ends in the middle:
//
//   - A cancelled context is heeded between two steps. A step that runs is not interrupted, since
//     MySQL could not take back the part of it that is done.
//   - A step that waits for a table because others use it (a transaction that was left open is
//     enough) fails after five minutes with what to do about them. It counts as stopped half-way.
//   - Killed, or cut off, within a step: schema_migrations says dirty, and every further change is
//     refused with a *DirtyError that names the migration and the ways out.
//   - Killed between a step and its line in schema_history: the version is right and nothing is
//     dirty, but the history does not know when the migration was applied (Entry.AppliedAt is
//     zero), nor, if it was the adoption, that Alembic made version 1. Up goes on from there.
//
// Down to version 0 drops every table of the schema, with alembic_version. schema_migrations
// stays, empty, as golang-migrate leaves it; schema_history stays with its rows, which then tell
// what was there.
//
// Not its job: rows that services work with (package seeds); creating databases and logins;
// several writable servers that share the data, or a proxy that spreads the statements of one
// login over servers (the lock is that of one server); undoing half of a migration.
package migrations
