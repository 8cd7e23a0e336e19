package postgresql

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// connection is one connection to the server.
type connection struct {
	*pgconn.PgConn
	frames *frames // counts the rows that arrive
}

// connect reaches the server and logs in. Its errors are the driver's.
func connect(ctx context.Context, config *pgconn.Config) (*connection, error) {
	var c connection
	config = config.Copy()
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		c.frames = newFrames(r) // anew for each address that the driver tries
		return pgproto3.NewFrontend(c.frames, w)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	c.PgConn = conn
	return &c, nil
}

// close says goodbye to the server and waits until the connection is really gone, also when the
// driver closes it in the background after an error. It has its own timeout: the connection must go
// away also when ctx is over.
func (c *connection) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	_ = c.Close(ctx) // the connection is of no more use, whatever the server says
	select {
	case <-c.CleanupDone():
	case <-ctx.Done():
	}
}

// exec runs statements that return nothing.
func (c *connection) exec(ctx context.Context, statements string) error {
	_, err := c.Exec(ctx, statements).ReadAll()
	return err
}

// rows runs a query with text parameters and returns all its rows as text, NULL as "".
func (c *connection) rows(ctx context.Context, query string, params ...string) ([][]string, error) {
	values := make([][]byte, len(params))
	for i, p := range params {
		values[i] = []byte(p)
	}
	result := c.ExecParams(ctx, query, values, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	rows := make([][]string, len(result.Rows))
	for i, row := range result.Rows {
		for _, value := range row {
			rows[i] = append(rows[i], string(value))
		}
	}
	return rows, nil
}

// settings hold within the transaction, so that they work behind a pooler too and leave nothing
// behind. They fix how values are spelled and in which order a table is read, and switch off the
// server's own limits on time: how long an extraction may take is the engine's to decide, and a
// stalled upload is not an idle client.
var settings = []string{
	"client_encoding = 'UTF8'",
	"TimeZone = 'UTC'",
	"DateStyle = 'ISO'",
	"IntervalStyle = 'iso_8601'",
	"extra_float_digits = 1",
	"bytea_output = 'hex'",
	"quote_all_identifiers = off",
	"standard_conforming_strings = on",
	"synchronize_seqscans = off",
	"statement_timeout = 0",
	"lock_timeout = 0",
	"idle_in_transaction_session_timeout = 0",
}

// begin starts a read-only transaction with some statements.
func (c *connection) begin(ctx context.Context, statements ...string) error {
	all := append([]string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}, statements...)
	return c.exec(ctx, strings.Join(all, "; "))
}

// adjust makes the settings.
func (c *connection) adjust(ctx context.Context) error {
	return c.exec(ctx, "SET LOCAL "+strings.Join(settings, "; SET LOCAL "))
}

// server returns what no other server has: the moment at which it was started.
func (c *connection) server(ctx context.Context) (string, error) {
	rows, err := c.rows(ctx, "SELECT pg_catalog.pg_postmaster_start_time()")
	if err != nil {
		return "", fmt.Errorf("asking which server this is: %w", err)
	}
	return rows[0][0], nil
}
