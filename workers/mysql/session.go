package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// session is one transaction on one connection.
type session struct {
	source   *Source
	conn     *connection
	id       string // of the connection, on the server
	mariaDB  bool
	snapshot ingest.Snapshot
}

// settings fix how values are spelled, and lift the server's own limits on time and size: how
// long an extraction may take is the engine's to decide. Those that a server does not know are
// left out; the SQL mode stays as the operator chose it.
var settings = [][2]string{
	{"time_zone", "'+00:00'"},
	{"net_write_timeout", "3600"}, // the server waits for us while the lake stalls
	{"net_read_timeout", "3600"},
	{"wait_timeout", "28800"}, // between two datasets
	{"idle_transaction_timeout", "0"},
	{"idle_readonly_transaction_timeout", "0"},
	{"max_execution_time", "0"},            // MySQL
	{"max_statement_time", "0"},            // MariaDB
	{"explain_format", "'TRADITIONAL'"},    // see estimate
	{"group_concat_max_len", "1073741824"}, // MariaDB cuts JSON_ARRAYAGG at it
}

// unlimited comes before everything else: a limit on rows cuts every result short without a word,
// that of the question for the server's settings too. DEFAULT would be the operator's own limit.
const unlimited = "SET SESSION sql_select_limit = 18446744073709551615, SESSION sql_big_selects = 1"

// begin applies the settings and starts the read-only transaction with its snapshot.
func (s *session) begin(ctx context.Context) error {
	if _, err := s.conn.ExecContext(ctx, unlimited, nil); err != nil {
		return fmt.Errorf("lifting the limits on rows: %w", err)
	}
	names := make([]string, len(settings))
	for i, setting := range settings {
		names[i] = "'" + setting[0] + "'"
	}
	known, err := s.rows(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ("+strings.Join(names, ", ")+")")
	if err != nil {
		return fmt.Errorf("asking for the server's settings: %w", err)
	}
	var assignments []string
	for _, setting := range settings {
		for _, row := range known.rows {
			if row[0] == setting[0] {
				assignments = append(assignments, "SESSION "+setting[0]+" = "+setting[1])
			}
		}
	}
	for _, statement := range []string{
		"SET NAMES utf8mb4 COLLATE utf8mb4_general_ci", // also where the server ignores what a login asks for
		"SET " + strings.Join(assignments, ", "),
		"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
		"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
	} {
		if _, err := s.conn.ExecContext(ctx, statement, nil); err != nil {
			return fmt.Errorf("starting the transaction: %w", err)
		}
	}
	s.snapshot = ingest.Snapshot{At: time.Now().UTC(), Consistent: true}
	about, err := s.rows(ctx, "SELECT CONNECTION_ID(), VERSION()")
	if err != nil {
		return fmt.Errorf("asking for the connection's id: %w", err)
	}
	s.id, s.mariaDB = about.rows[0][0], strings.Contains(about.rows[0][1], "MariaDB")
	return nil
}

// Close ends the transaction with its connection.
func (s *session) Close(context.Context) error {
	_ = s.conn.Close() // the connection is of no more use, whatever the server says
	return nil
}

// interruptible runs f, which talks to the server, under a context that does not end with ctx:
// the driver's only answer to that is to close the socket, and the server would go on with the
// query until it next writes. Instead, the end of ctx kills the query on the server, and f gets
// the server's error and leaves the connection usable. Only when that takes too long is the
// connection given up.
func (s *session) interruptible(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	undisturbed := context.WithoutCancel(ctx)
	running, giveUp := context.WithCancel(undisturbed)
	defer giveUp()
	ended := make(chan struct{})
	killed := make(chan bool)
	go func() {
		select {
		case <-ended:
			killed <- false
			return
		case <-ctx.Done():
		}
		limit, cancel := context.WithTimeoutCause(undisturbed, stopTimeout, errors.New("stopping the query on the server timed out"))
		defer cancel()
		if err := s.source.kill(limit, s.id); err != nil {
			s.source.log.Warn("the query could not be killed; its connection is closed instead", "error", err)
			giveUp()
		}
		select {
		case <-ended:
		case <-limit.Done():
			giveUp()
		}
		killed <- true
	}()
	err := f(running)
	close(ended)
	if <-killed && running.Err() == nil {
		// A kill that came too late for its query may hit the next one: let it be this.
		_, _ = s.conn.ExecContext(running, "DO 0", nil)
	}
	return err
}

// table is a small result: rows of text, NULL as "".
type table struct {
	names []string
	rows  [][]string
}

// rows runs a query with parameters and reads all its rows.
func (s *session) rows(ctx context.Context, query string, params ...string) (table, error) {
	var result driver.Rows
	var err error
	if len(params) == 0 {
		result, err = s.conn.QueryContext(ctx, query, nil)
	} else {
		var statement driver.Stmt
		if statement, err = s.conn.PrepareContext(ctx, query); err != nil {
			return table{}, err
		}
		defer statement.Close()
		values := make([]driver.NamedValue, len(params))
		for i, p := range params {
			values[i] = driver.NamedValue{Ordinal: i + 1, Value: p}
		}
		result, err = statement.(driver.StmtQueryContext).QueryContext(ctx, values)
	}
	if err != nil {
		return table{}, err
	}
	defer result.Close()
	t := table{names: result.Columns()}
	values := make([]driver.Value, len(t.names))
	for {
		if err := result.Next(values); err == io.EOF { //nolint:errorlint // see rows
			return t, nil
		} else if err != nil {
			return table{}, err
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = spell(v)
		}
		t.rows = append(t.rows, row)
	}
}

// spell returns a value as text, NULL as "".
func spell(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return fmt.Sprint(v)
	}
}
