package seeds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/crypto/bcrypt"
)

// Options say how Apply works.
type Options struct {
	// Clean deletes every row of the nine tables first, also those that were never seeded.
	Clean bool
}

// Summary is what Apply did.
type Summary struct {
	Tables []TableSummary // all nine; a table comes after those that it refers to

	// Strangers are the email addresses of our users who are there under an id that is not ours.
	// They were left alone, and what would hang on them was skipped.
	Strangers []string
}

// TableSummary is what Apply did with one table, in rows.
type TableSummary struct {
	Table    string
	Deleted  int
	Inserted int
	Present  int // were there already
	Skipped  int // would hang on a stranger
}

// tables in the order in which they are filled. They are emptied in the opposite one.
var tables = []string{
	"Role", "Bank", "TransactionCategory", "InsightCategory", "User", "UserInfo", "TransactionBatch", "Transaction", "Insights",
}

// maxAttempts bounds how often a transaction that met another one's is tried again. Of those that
// meet, one always gets through.
const maxAttempts = 10

// Apply puts the demonstration data into the database, whose tables must exist, and returns what
// it did. It may be repeated, and after an error nothing has changed; after one of the connection
// during the commit it may have. The caller keeps db.
// It fails with a *TakenError where a row of somebody else's stands in the way, and with Clean
// with a *CascadeError where rows of other tables would follow those that it deletes.
func Apply(ctx context.Context, db *sql.DB, opts Options) (Summary, error) {
	return seed(ctx, db, opts, bcrypt.DefaultCost)
}

// seed is Apply with passwords hashed at a cost.
func seed(ctx context.Context, db *sql.DB, opts Options, cost int) (Summary, error) {
	// Before the transaction, so that no lock waits for what is slow on purpose.
	hashes, err := hashAll(cost)
	if err != nil {
		return Summary{}, fmt.Errorf("seeding: %w", err)
	}
	var last *TakenError // by which the attempt before failed; nil when it was something else
	for attempt := 1; ; attempt++ {
		summary, err := try(ctx, db, opts, hashes)
		if err == nil {
			return summary, nil
		}
		taken, _ := errors.AsType[*TakenError](err)
		// What was inserted meanwhile under the row's id or name is in sight of the next attempt, and
		// no row is inserted then. That it is refused again, another key is the reason.
		again := taken != nil && last != nil && taken.Table == last.Table && taken.ID == last.ID
		if attempt == maxAttempts || again || !collided(err) {
			return Summary{}, fmt.Errorf("seeding: %w", err)
		}
		last = taken
	}
}

// The server's numbers for the errors of a transaction that met another one's.
const (
	recordChanged = 1020 // a row is not what it was when the transaction began (MariaDB 11.6 and later)
	duplicateKey  = 1062 // the other one inserted the row first; or it is somebody else's: see TakenError
	deadlock      = 1213
)

// collided reports whether the transaction may succeed when it is tried again, with the other one's rows in sight.
func collided(err error) bool {
	refused, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && slices.Contains([]uint16{recordChanged, duplicateKey, deadlock}, refused.Number)
}

// try is one attempt, in one transaction.
func try(ctx context.Context, db *sql.DB, opts Options, hashes map[string]string) (Summary, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Summary{}, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	f := newFiller(tx, hashes)
	if opts.Clean {
		if err := refuseCascades(ctx, tx); err != nil {
			return Summary{}, err
		}
		if err := f.clean(ctx); err != nil {
			return Summary{}, err
		}
	}
	if err := f.fill(ctx); err != nil {
		return Summary{}, err
	}
	if err := tx.Commit(); err != nil {
		return Summary{}, fmt.Errorf("committing: %w", err)
	}
	return f.summary, nil
}
