// Package seeds holds demonstration data for Flowlite's nine tables, and puts it there: roles,
// users who can log in (see Logins), banks, categories, uploaded statements in every state with
// their transactions, and insights. What it holds stands in users.go, catalogs.go, statements.go
// and insights.go.
//
// The data is always the same: dates count back from a fixed day, and every id is the UUID of
// version 5 of the row's natural key. Only the hashes of the passwords are made anew for each row.
//
// Guarantees
//   - Apply works in one transaction: all or nothing, with Clean too.
//   - Clean deletes and changes no row of other tables: where a foreign key of theirs says ON DELETE
//     CASCADE or SET NULL, as far as the login can see it, it fails with a *CascadeError.
//   - Without Clean nothing that is in the database is changed or deleted. A row that is there
//     stays as it is, whatever it holds; running again inserts only what is missing.
//   - A role, a bank or a category that is there under another id, known by its name, is used
//     instead of a second one.
//   - A user who is there under another id, known by the email address, is somebody else's: the
//     row is left alone, and nothing that would hang on it is inserted. It is named in the Summary.
//   - Several may run at once: one after the other finds nothing left to insert. A transaction that
//     meets another one's (a deadlock, a duplicate key) is rolled back and tried again. A value that
//     somebody else's row has under a unique key of theirs is told in a *TakenError instead.
//   - Passwords are stored as bcrypt hashes only.
//
// Not its job: asking before Clean, and refusing it where real data is. It is safe only where every
// row may be lost.
package seeds
