package postgresql

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a database of its own on the local stack's server, with a login that may only read.
type server struct {
	admin  *pgx.Conn // in that database
	reader string    // login of the sources
	config Config    // of the reader
}

const readerPassword = "lectura-s3cr3ta' \\"

// newServer makes the database, and drops it when the test ends.
func newServer(t testing.TB) *server {
	t.Helper()
	port, err := strconv.Atoi(stacktest.Env(t, "POSTGRES_PORT"))
	if err != nil {
		t.Fatalf("POSTGRES_PORT: %v", err)
	}
	host := stacktest.Env(t, "POSTGRES_HOST")
	name := "extract_" + strings.ToLower(rand.Text()[:12])
	connect := func(database string) *pgx.Conn {
		cfg := Config{
			Host: host, Port: port, Database: database, SSLMode: "prefer",
			User:     stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_USER"),
			Password: config.Secret(stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_PASSWORD")),
		}
		conn, err := pgx.Connect(t.Context(), cfg.ConnString())
		if err != nil {
			t.Fatalf("connecting as administrator: %v", err)
		}
		return conn
	}
	root := connect("postgres")
	s := &server{reader: name + "_reader"}
	s.config = Config{Host: host, Port: port, User: s.reader, Password: readerPassword, Database: name, SSLMode: "prefer", Parallel: 2}
	must(t, root, "CREATE DATABASE "+name)
	must(t, root, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", s.reader, strings.ReplaceAll(readerPassword, "'", "''")))
	s.admin = connect(name)
	must(t, s.admin, fmt.Sprintf("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO %s", s.reader))
	must(t, s.admin, fmt.Sprintf("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO %s", s.reader))
	t.Cleanup(func() {
		ctx := context.Background()
		_ = s.admin.Close(ctx)
		must(t, root, "DROP DATABASE "+name+" WITH (FORCE)")
		must(t, root, "DROP ROLE "+s.reader)
		_ = root.Close(ctx)
	})
	return s
}

func must(t testing.TB, conn *pgx.Conn, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := conn.Exec(ctx, statement, args...); err != nil {
		t.Fatalf("%.200s: %v", statement, err)
	}
}

// source returns a source of the database under the reader's login.
func (s *server) source(t testing.TB, access extracttest.Access) *Source {
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
		extracttest.Int: "bigint", extracttest.Text: "text", extracttest.Bool: "boolean",
		extracttest.Float: "double precision", extracttest.Instant: "timestamptz", extracttest.Binary: "bytea",
	}
	var columns []string
	for _, c := range table.Columns {
		columns = append(columns, quoteColumn(c.Name)+" "+types[c.Kind])
	}
	name := quoteColumn(table.Name)
	must(t, s.admin, "CREATE TABLE "+name+" ("+strings.Join(columns, ", ")+")")
	t.Cleanup(func() { must(t, s.admin, "DROP TABLE "+name+" CASCADE") })
	s.Insert(t, table)
}

// Insert adds rows to a table.
func (s *server) Insert(t *testing.T, table extracttest.Table) {
	t.Helper()
	var columns []string
	for _, c := range table.Columns {
		columns = append(columns, c.Name)
	}
	if _, err := s.admin.CopyFrom(t.Context(), pgx.Identifier{table.Name}, columns, pgx.CopyFromRows(table.Rows)); err != nil {
		t.Fatalf("filling %s: %v", table.Name, err)
	}
}

// Sessions counts the reader's sessions.
func (s *server) Sessions(t *testing.T) (open, running int) {
	t.Helper()
	err := s.admin.QueryRow(t.Context(),
		"SELECT count(*), count(*) FILTER (WHERE state = 'active') FROM pg_stat_activity WHERE usename = $1", s.reader,
	).Scan(&open, &running)
	if err != nil {
		t.Fatalf("counting sessions: %v", err)
	}
	return open, running
}

// Kill ends the reader's sessions.
func (s *server) Kill(t *testing.T) {
	t.Helper()
	must(t, s.admin, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1", s.reader)
}
