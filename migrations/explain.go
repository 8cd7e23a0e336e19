package migrations

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/go-sql-driver/mysql"
	"github.com/golang-migrate/migrate/v4/database"
)

// cause returns what the server or the driver said, which golang-migrate's errors hide. Their text
// would repeat the whole migration.
func cause(err error) error {
	if e, ok := errors.AsType[*database.Error](err); ok {
		return e.OrigErr
	}
	if e, ok := errors.AsType[database.Error](err); ok {
		return e.OrigErr
	}
	return err
}

// explain says what err means and what to do about it, by the numbers of the server's errors and
// by the types of the others, never by their text. doing names the operation, as a gerund. What
// has a name already, and what needs no other words than its own, is only wrapped.
func (m *Migrator) explain(ctx context.Context, doing string, err error) error {
	return explain(ctx, m.at, doing, err)
}

func explain(ctx context.Context, at address, doing string, err error) error {
	err = cause(err)
	if errors.Is(context.Cause(ctx), ErrLockLost) {
		return fmt.Errorf("%s: %w", doing, ErrLockLost)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	if refused, ok := errors.AsType[*mysql.MySQLError](err); ok {
		message, transient := meaning(at, refused)
		if message == "" {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return &ServerError{Transient: transient, Number: refused.Number, Message: doing + ": " + message, cause: err}
	}
	for _, login := range []error{
		mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword, mysql.ErrOldPassword,
		mysql.ErrUnknownPlugin, mysql.ErrOldProtocol,
	} {
		if errors.Is(err, login) {
			return &ServerError{Message: fmt.Sprintf("%s: the server at %s does not agree on how to log in: %v; MYSQL_TLS=preferred fits most servers", doing, at.hostPort(), err), cause: err}
		}
	}
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return &ServerError{cause: err, Message: fmt.Sprintf(
			"%s: the certificate of the MySQL server at %s is not trusted (%v): add its authority to the system's, or set MYSQL_TLS to preferred or skip-verify", doing, at.hostPort(), err)}
	}
	if _, network := errors.AsType[net.Error](err); network ||
		errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) {
		why := err
		if ctx.Err() != nil {
			why = context.Cause(ctx) // says what took too long
		}
		return &ServerError{Transient: true, cause: err, Message: fmt.Sprintf(
			"%s: the MySQL server at %s cannot be reached, or the connection was lost (%v): is it running, and are host and port right? "+
				"From within a container the host is the service's name, mysql; from outside it is localhost with the published port", doing, at.hostPort(), why)}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// meaning puts an answer of the server into words, and says whether it may pass; "" leaves it as
// it is.
func meaning(at address, refused *mysql.MySQLError) (message string, transient bool) {
	switch refused.Number {
	case 1045, 1698, 1130, 1251, 1820, 1862, 3118, 4151: // password, host, plugin, expired or locked account
		return fmt.Sprintf("the MySQL server at %s refused the login of %s (error %d): check MYSQL_USER and MYSQL_PASSWORD, or DATABASE_URL. "+
			"If the user is new, or may not come from this host, an administrator runs: CREATE USER %s IDENTIFIED BY '<password>'; %s",
			at.hostPort(), at.user, refused.Number, at.account(), at.grant()), false
	case 1044: // the database as a whole
		return fmt.Sprintf("user %s has no right to use database %s, or there is none (error 1044). An administrator runs: CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4; %s",
			at.user, at.database, quoteName(at.database), at.grant()), false
	case 1142, 1143, 1227, 1370: // tables, columns, and privileges by name
		return fmt.Sprintf("user %s lacks a right that the migrations need (error %d: %s). An administrator runs: %s",
			at.user, refused.Number, refused.Message, at.grant()), false
	case 1049:
		return fmt.Sprintf("the MySQL server at %s has no database %s (error 1049): check MYSQL_DATABASE, or DATABASE_URL. An administrator creates it by: CREATE DATABASE %s CHARACTER SET utf8mb4; %s",
			at.hostPort(), at.database, quoteName(at.database), at.grant()), false
	}
	if refused.Number == 1205 { // waited for a table, or for rows, for as long as the session may
		return fmt.Sprintf("other sessions hold a table or rows that this waited for, until its time was over (error 1205). "+
			"`SHOW FULL PROCESSLIST` shows the sessions: wait until they have ended, or end them (`KILL <id>`); `migrate status` then tells how database %s was left", at.database), true
	}
	if slices.Contains([]uint16{
		1040, 1129, 1203, 1226, // too many connections, host blocked, limits of the account
		1021, 1037, 1041, 1114, 1135, // disk, memory, temporary table and threads used up
		1053, 1077, 1079, 3168, // shutting down, not available yet
		1152, 1153, 1158, 1159, 1160, 1161, 1184, 4031, // connection aborted
		1317, 1927, 3169, // query or session killed
		1213, // deadlock
	}, refused.Number) {
		return fmt.Sprintf("the MySQL server at %s is not able to serve, or ended the statement (error %d: %s)", at.hostPort(), refused.Number, refused.Message), true
	}
	return "", false
}
