package postgresql

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// failure names err in the system's terms, by the server's SQLSTATE and by the types of errors,
// never by their text. When ctx is over, its error is what counts. What has a name already, and
// nil, come back as they are.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if named, ok := errors.AsType[*ingest.Error](err); ok {
		return named
	}
	if over := ctx.Err(); over != nil {
		return over
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		if quotesRows(refused.Code) {
			err = wordless{refused}
		}
		return refusal(refused.Code, err)
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if connecting || network || pgconn.Timeout(err) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ingest.Transient(ingest.SourceUnavailable, err, "the PostgreSQL server cannot be reached, or the connection was lost")
	}
	return ingest.AsError(err)
}

// quotesRows reports whether the server's words for the state may hold what it has read: "invalid
// input syntax for type integer: …" quotes the value, which is for the file alone, and not even for
// that in a column that is masked.
func quotesRows(state string) bool {
	return strings.HasPrefix(state, "22") || // data exception
		state == "P0001" // raised by a function, in words of its own
}

// wordless is a refusal without the server's words.
type wordless struct{ refused *pgconn.PgError }

func (w wordless) Error() string {
	return "the server's words are left out, for they may quote a row; it refused in " + w.refused.Routine
}

func (w wordless) Unwrap() error { return w.refused }

// refusal names what the server refused. States are of two parts: a class of two characters and
// the condition.
func refusal(state string, err error) error {
	switch state {
	case "42P01", "3F000": // undefined table, invalid schema name
		return ingest.Permanent(ingest.TableNotFound, err, "a table that the query reads does not exist")
	case "42703": // undefined column
		return ingest.Permanent(ingest.ColumnNotFound, err, "a column that the query reads does not exist")
	case "42501": // insufficient privilege
		return ingest.Permanent(ingest.SourceDenied, err, "the PostgreSQL login may not read this")
	case "3D000": // invalid catalog name
		return ingest.Permanent(ingest.SourceDenied, err, "the PostgreSQL server does not have the configured database")
	case "57014": // query canceled: by an operator, since a cancelled context was ruled out
		return ingest.Transient(ingest.SourceUnavailable, err, "the PostgreSQL server stopped the query")
	case "25P03", "25P04": // idle in transaction, transaction timeout
		return ingest.Transient(ingest.SourceUnavailable, err, "the PostgreSQL server ended the session")
	}
	switch {
	case strings.HasPrefix(state, "28"): // invalid authorization
		return ingest.Permanent(ingest.SourceDenied, err, "the PostgreSQL server refused the login")
	case strings.HasPrefix(state, "08"), // connection exception
		strings.HasPrefix(state, "53"), // insufficient resources, too many connections
		strings.HasPrefix(state, "57"), // operator intervention: shutdown, crash, starting up
		strings.HasPrefix(state, "58"): // trouble outside the server itself: input and output
		return ingest.Transient(ingest.SourceUnavailable, err, "the PostgreSQL server is not able to serve (SQLSTATE %s)", state)
	case strings.HasPrefix(state, "40"), // serialization failure: a standby's conflict with recovery
		strings.HasPrefix(state, "55"): // object not in the state needed: locks
		return ingest.Transient(ingest.SourceUnavailable, err, "the PostgreSQL server interrupted the query (SQLSTATE %s)", state)
	default:
		return ingest.Permanent(ingest.QueryFailed, err, "the PostgreSQL server refused the query (SQLSTATE %s)", state)
	}
}
