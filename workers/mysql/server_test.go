package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a database of its own on the local stack's server, with a login of its own.
//
// The tests hold for MySQL as well as for MariaDB. To run them on another server than the stack's:
//
//	SOURCE_MYSQL_HOST=127.0.0.1 SOURCE_MYSQL_PORT=3306 \
//	LOCAL_MYSQL_ADMIN_USER=root LOCAL_MYSQL_ADMIN_PASSWORD=… go test ./workers/mysql
//
// That login needs every privilege, over TCP. Allow the server to write files (an empty
// secure_file_priv), or TestInjection cannot tell whether one was written.
type server struct {
	admin  *sql.DB // in that database
	reader string  // login of the sources
	config Config  // of the reader
}

const readerPassword = "lectura-s3cr3ta@/:"

// newServer makes the database, and drops it when the test ends.
func newServer(t testing.TB) *server {
	t.Helper()
	port, err := strconv.Atoi(stacktest.Env(t, "SOURCE_MYSQL_PORT"))
	if err != nil {
		t.Fatalf("SOURCE_MYSQL_PORT: %v", err)
	}
	name := "extract_" + strings.ToLower(rand.Text()[:12])
	s := &server{reader: name}
	s.config = Config{
		Host: stacktest.Env(t, "SOURCE_MYSQL_HOST"), Port: port,
		User: s.reader, Password: readerPassword, Database: name, TLS: "preferred",
	}
	connect := func(database string) *sql.DB {
		cfg := s.config
		cfg.User, cfg.Database = stacktest.Env(t, "LOCAL_MYSQL_ADMIN_USER"), database
		cfg.Password = config.Secret(stacktest.Env(t, "LOCAL_MYSQL_ADMIN_PASSWORD"))
		d := cfg.Driver()
		d.Params = map[string]string{"time_zone": "'+00:00'"}
		connector, err := driver.NewConnector(d)
		if err != nil {
			t.Fatalf("connecting as administrator: %v", err)
		}
		return sql.OpenDB(connector)
	}
	root := connect("")
	must(t, root, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	hosts := []string{"'%'", "'localhost'"} // the latter beats the anonymous login that some servers come with
	for _, host := range hosts {
		must(t, root, fmt.Sprintf("CREATE USER %s@%s IDENTIFIED BY '%s'", name, host, readerPassword))
		must(t, root, fmt.Sprintf("GRANT ALL ON %s.* TO %s@%s", name, name, host))
	}
	s.admin = connect(name)
	t.Cleanup(func() {
		_ = s.admin.Close()
		must(t, root, "DROP DATABASE "+name)
		for _, host := range hosts {
			must(t, root, "DROP USER "+name+"@"+host)
		}
		_ = root.Close()
	})
	return s
}

func must(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement, args...); err != nil {
		t.Fatalf("%.200s: %v", statement, err)
	}
}

// source returns a source of the database under the reader's login.
func (s *server) source(t testing.TB, access extracttest.Access) engine.Source {
	t.Helper()
	cfg := s.config
	switch access {
	case extracttest.WrongPassword:
		cfg.Password = "no-" + readerPassword
	case extracttest.ClosedPort:
		cfg.Host, cfg.Port = "127.0.0.1", stacktest.FreePort(t)
	}
	source, err := New(cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return source
}

// Create makes a table.
func (s *server) Create(t *testing.T, table extracttest.Table) {
	t.Helper()
	types := map[extracttest.Kind]string{
		extracttest.Int: "bigint", extracttest.Text: "longtext", extracttest.Bool: "boolean",
		extracttest.Float: "double", extracttest.Instant: "timestamp(3) NULL", extracttest.Binary: "longblob",
	}
	var columns []string
	for _, c := range table.Columns {
		columns = append(columns, quoteName(c.Name)+" "+types[c.Kind])
	}
	name := quoteName(table.Name)
	must(t, s.admin, "CREATE TABLE "+name+" ("+strings.Join(columns, ", ")+", PRIMARY KEY ("+quoteName(table.Columns[0].Name)+"))")
	t.Cleanup(func() { must(t, s.admin, "DROP TABLE "+name) })
	s.Insert(t, table)
}

// Insert adds rows to a table, a megabyte at a time.
func (s *server) Insert(t *testing.T, table extracttest.Table) {
	t.Helper()
	const most = 500
	place := "(" + strings.Repeat("?, ", len(table.Columns)-1) + "?)"
	tx, err := s.admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatalf("filling %s: %v", table.Name, err)
	}
	defer func() { _ = tx.Rollback() }()
	for rows := table.Rows; len(rows) > 0; {
		n := min(most, len(rows))
		var args []any
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		statement := "INSERT INTO " + quoteName(table.Name) + " VALUES " + strings.Repeat(place+", ", n-1) + place
		if _, err := tx.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatalf("filling %s: %v", table.Name, err)
		}
		rows = rows[n:]
	}
	if err := tx.Commit(); err != nil {
		t.Fatalf("filling %s: %v", table.Name, err)
	}
}

// Sessions counts the reader's sessions.
func (s *server) Sessions(t *testing.T) (open, running int) {
	t.Helper()
	err := s.admin.QueryRowContext(t.Context(),
		"SELECT COUNT(*), COALESCE(SUM(COMMAND <> 'Sleep'), 0) FROM information_schema.PROCESSLIST WHERE USER = ?", s.reader,
	).Scan(&open, &running)
	if err != nil {
		t.Fatalf("counting sessions: %v", err)
	}
	return open, running
}

// Kill ends the reader's sessions.
func (s *server) Kill(t *testing.T) {
	t.Helper()
	rows, err := s.admin.QueryContext(t.Context(), "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ?", s.reader)
	if err != nil {
		t.Fatalf("listing sessions: %v", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatalf("listing sessions: %v", err)
		}
		must(t, s.admin, fmt.Sprintf("KILL %d", id))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("listing sessions: %v", err)
	}
}
