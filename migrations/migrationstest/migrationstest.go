// Package migrationstest makes databases for tests on the local stack's MySQL server: each test
// has one of its own, empty, which is dropped when the test ends.
package migrationstest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/stacktest"
)

// callTimeout bounds each statement that sets a test's database up or removes it.
const callTimeout = time.Minute

// Database makes an empty database for the test alone, on which the stack's MYSQL_USER has all
// rights, and returns the settings that lead there (MYSQL_*), for stacktest.Load. They hold an
// empty DATABASE_URL too, which takes the stack's own out of the way.
func Database(t testing.TB) (settings []string) {
	t.Helper()
	name := "test" + strings.ToLower(rand.Text()[:12])
	user := stacktest.Env(t, "MYSQL_USER")
	admin := Admin(t, "")
	Exec(t, admin, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	t.Cleanup(func() {
		Exec(t, admin, "DROP DATABASE "+name)
		Exec(t, admin, fmt.Sprintf("REVOKE ALL PRIVILEGES ON %s.* FROM '%s'@'%%'", name, user))
	})
	Exec(t, admin, fmt.Sprintf("GRANT ALL PRIVILEGES ON %s.* TO '%s'@'%%'", name, user))
	return []string{
		"DATABASE_URL=",
		"MYSQL_HOST=" + stacktest.Env(t, "MYSQL_HOST"), "MYSQL_PORT=" + stacktest.Env(t, "MYSQL_PORT"),
		"MYSQL_USER=" + user, "MYSQL_PASSWORD=" + stacktest.Env(t, "MYSQL_PASSWORD"),
		"MYSQL_DATABASE=" + name,
	}
}

// Admin connects as the server's administrator to a database, or to none when the name is empty.
// The pool is closed when the test ends.
func Admin(t testing.TB, database string) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(stacktest.Env(t, "MYSQL_HOST"), stacktest.Env(t, "MYSQL_PORT"))
	cfg.User, cfg.Passwd = stacktest.Env(t, "LOCAL_MYSQL_ADMIN_USER"), stacktest.Env(t, "LOCAL_MYSQL_ADMIN_PASSWORD")
	cfg.DBName, cfg.MultiStatements, cfg.Timeout = database, true, callTimeout
	cfg.Logger = &mysql.NopLogger{} // what it has to say comes back as an error too
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatalf("connecting as the administrator: %v", err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Exec runs statements, one or several, and fails the test when the server refuses one.
func Exec(t testing.TB, db *sql.DB, statements string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), callTimeout, errors.New("a statement of the test timed out"))
	defer cancel()
	if _, err := db.ExecContext(ctx, statements, args...); err != nil {
		t.Fatalf("%.200s: %v", statements, err)
	}
}
