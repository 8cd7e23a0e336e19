package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Error numbers that are asked for by name.
const (
	badTable    = 1051
	noSuchTable = 1146
)

// number returns the server's error number, 0 when err is none of the server's.
func number(err error) uint16 {
	if refused, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return refused.Number
	}
	return 0
}

// failure names err in the system's terms, by the server's error number and by the types of
// errors, never by their text. When ctx is over, its error is what counts. What has a name
// already, and nil, come back as they are.
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
	if refused, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return refusal(refused, err)
	}
	for _, login := range []error{
		mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword, mysql.ErrOldPassword,
		mysql.ErrUnknownPlugin, mysql.ErrOldProtocol,
	} {
		if errors.Is(err, login) {
			return ingest.Permanent(ingest.SourceDenied, err, "the MySQL server and this worker do not agree on how to log in")
		}
	}
	if _, network := errors.AsType[net.Error](err); network ||
		errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, mysql.ErrPktSync) || errors.Is(err, mysql.ErrPktSyncMul) || errors.Is(err, mysql.ErrMalformPkt) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) {
		return ingest.Transient(ingest.SourceUnavailable, err, "the MySQL server cannot be reached, or the connection was lost")
	}
	return ingest.AsError(err)
}

// refusal names what the server refused.
func refusal(refused *mysql.MySQLError, err error) error {
	switch refused.Number {
	case noSuchTable, badTable:
		return ingest.Permanent(ingest.TableNotFound, err, "a table that the query reads does not exist")
	case 1054: // unknown column
		return ingest.Permanent(ingest.ColumnNotFound, err, "a column that the query reads does not exist")
	case 1049: // unknown database
		return ingest.Permanent(ingest.SourceDenied, err, "the MySQL server does not have the configured database")
	case 1044, 1045, 1130, 1251, 1698, 1820, 1862, 3118, 4151: // login, host, plugin, expired or locked account
		return ingest.Permanent(ingest.SourceDenied, err, "the MySQL server refused the login")
	case 1142, 1143, 1227, 1345, 1370: // privileges on tables, columns, views and routines
		return ingest.Permanent(ingest.SourceDenied, err, "the MySQL login may not read this")
	case 1040, 1129, 1203, 1226, // too many connections, host blocked, limits of the account
		1021, 1037, 1041, 1114, 1135, // disk, memory, temporary table and threads used up
		1053, 1077, 1079, 3168, // shutting down, not available yet
		1152, 1153, 1158, 1159, 1160, 1161, 1184, // aborted connection, network
		1317, 1927, 3169, // query or session killed, by somebody else than this worker
		1205, 1213, // locks
		1969, 3024, // limits on time that were set again
		1412, // a table was altered after the snapshot was taken: the next one will do
		4031: // the server grew tired of the session
		return ingest.Transient(ingest.SourceUnavailable, err, "the MySQL server is not able to serve, or ended the query (error %d)", refused.Number)
	}
	if string(refused.SQLState[:2]) == "08" { // connection exception
		return ingest.Transient(ingest.SourceUnavailable, err, "the MySQL server lost the connection (error %d)", refused.Number)
	}
	return ingest.Permanent(ingest.QueryFailed, err, "the MySQL server refused the query (error %d)", refused.Number)
}
