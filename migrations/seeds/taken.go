package seeds

import (
	"fmt"

	"github.com/go-sql-driver/mysql"
)

// TakenError says that a row cannot be inserted because one that is there, and is not ours, has the
// same value under a unique key. Nothing was changed.
type TakenError struct {
	Table string
	ID    string // of the row to insert
	cause *mysql.MySQLError
}

// Unwrap returns the server's error.
func (e *TakenError) Unwrap() error { return e.cause }

func (e *TakenError) Error() string {
	return fmt.Sprintf("another row of the table %s has a value that must be unique, and that the row %s is to have too (error %d: %s): change or delete the other one, or drop the key",
		e.Table, e.ID, e.cause.Number, e.cause.Message)
}
