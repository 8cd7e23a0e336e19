package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// The datasets of a job agree with each other, whatever is written while it runs: each transaction
// writes one user and one purchase of that user, so the files hold the same ones.
func TestDatasetsShowOneSnapshot(t *testing.T) {
	for database, open := range map[ingest.Database]func(*testing.T) admin{ingest.PostgreSQL: openPostgreSQL, ingest.MySQL: openMySQL} {
		t.Run(string(database), func(t *testing.T) {
			shop := newShop(t, open(t))
			s := newSystem(t, shop.catalog(database))
			s.work(database)
			stop := shop.trade()
			header := s.call(http.MethodPost, "/api/ingesta/"+string(database), "", nil, http.StatusAccepted, nil)
			job := s.follow(header.Get("Location"))
			traded := stop()
			if job.Status != ingest.Success {
				t.Fatalf("the job ended as %s: %+v", job.Status, job.Results)
			}
			var files [2][]byte
			for i, r := range job.Results {
				_, files[i], _ = bytes.Cut(s.verify(r), []byte("\n"))
				if n := int64(len(lines(files[i]))); n != r.Rows {
					t.Errorf("the file of %s has %d rows, registros is %d", r.Dataset, n, r.Rows)
				}
				if !r.Snapshot.Consistent {
					t.Errorf("dataset %s is said not to agree with the others", r.Dataset)
				}
			}
			users, purchases := lines(files[0]), lines(files[1])
			for id := range users {
				if !purchases[id] {
					t.Errorf("user %s has no purchase in the other file", id)
				}
			}
			for id := range purchases {
				if !users[id] {
					t.Errorf("the purchase of user %s is there, and the user is not", id)
				}
			}
			if len(users) >= traded {
				t.Errorf("%d of %d transactions are in the files: none was committed after the snapshot, so this has shown nothing", len(users), traded)
			}
		})
	}
}

// lines returns the set of lines of a file.
func lines(file []byte) map[string]bool {
	set := map[string]bool{}
	for line := range bytes.Lines(file) {
		set[string(bytes.TrimSuffix(line, []byte("\n")))] = true
	}
	return set
}

// admin is the administrator of the server where a shop is.
type admin struct {
	execute func(ctx context.Context, statements string) error
	reader  string // whom tables must be granted to, if any
}

// shop is two tables that every transaction leaves in agreement.
type shop struct {
	admin
	t                *testing.T
	users, purchases string
	begun            int // transactions so far
}

// newShop makes the tables, with enough rows for their export to take a while.
func newShop(t *testing.T, on admin) *shop {
	suffix := strings.ToLower(rand.Text()[:10])
	s := &shop{admin: on, t: t, users: "prueba_usuarios_" + suffix, purchases: "prueba_compras_" + suffix}
	t.Cleanup(func() { s.exec(context.Background(), "DROP TABLE IF EXISTS "+s.users+", "+s.purchases) })
	for _, table := range []string{s.users, s.purchases} {
		s.exec(t.Context(), "CREATE TABLE "+table+" (id bigint PRIMARY KEY)")
		if s.reader != "" {
			s.exec(t.Context(), "GRANT SELECT ON "+table+" TO "+s.reader)
		}
	}
	const rows, batch = 100_000, 10_000
	for s.begun < rows {
		values := make([]string, batch)
		for i := range values {
			values[i] = fmt.Sprintf("(%d)", s.begun+i)
		}
		s.begun += batch
		list := strings.Join(values, ",")
		s.exec(t.Context(), "INSERT INTO "+s.users+" VALUES "+list)
		s.exec(t.Context(), "INSERT INTO "+s.purchases+" VALUES "+list)
	}
	return s
}

func (s *shop) exec(ctx context.Context, statement string) {
	s.t.Helper()
	if err := s.execute(ctx, statement); err != nil {
		s.t.Fatal(err)
	}
}

// catalog returns the variable of a catalog with the two tables, users first.
func (s *shop) catalog(database ingest.Database) string {
	path := filepath.Join(s.t.TempDir(), "catalog.yaml")
	text := fmt.Sprintf("version: 1\ndatabases:\n  - name: %s\n    datasets:\n      - {name: users, table: %s}\n      - {name: compras, table: %s}\n", database, s.users, s.purchases)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return "CATALOG_FILE=" + path
}

// trade commits one transaction after the other, until it is stopped: it says how many there were
// since the shop opened.
func (s *shop) trade() (stop func() int) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := s.sell(s.begun); err != nil {
				ended <- err
				return
			}
			s.begun++
		}
		ended <- nil
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("writing beside the export: %v", err)
		}
		return s.begun
	})
	s.t.Cleanup(func() { stop() }) // of a test that failed before, ahead of the tables' end
	return stop
}

// sell commits a user and the user's purchase.
func (s *shop) sell(id int) error {
	ctx := context.WithoutCancel(s.t.Context()) // whole transactions only
	return s.execute(ctx, fmt.Sprintf("BEGIN; INSERT INTO %[1]s VALUES (%[3]d); INSERT INTO %[2]s VALUES (%[3]d); COMMIT", s.users, s.purchases, id))
}

func openPostgreSQL(t *testing.T) admin {
	conn, err := pgx.Connect(t.Context(), (&url.URL{
		Scheme: "postgres", User: url.UserPassword(stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_USER"), stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_PASSWORD")),
		Host: net.JoinHostPort(stacktest.Env(t, "POSTGRES_HOST"), stacktest.Env(t, "POSTGRES_PORT")), Path: stacktest.Env(t, "POSTGRES_DATABASE"),
	}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return admin{
		execute: func(ctx context.Context, statements string) error {
			_, err := conn.Exec(ctx, statements)
			return err
		},
		reader: pgx.Identifier{stacktest.Env(t, "POSTGRES_USER")}.Sanitize(),
	}
}

func openMySQL(t *testing.T) admin {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(stacktest.Env(t, "SOURCE_MYSQL_HOST"), stacktest.Env(t, "SOURCE_MYSQL_PORT"))
	cfg.User, cfg.Passwd = stacktest.Env(t, "LOCAL_MYSQL_ADMIN_USER"), stacktest.Env(t, "LOCAL_MYSQL_ADMIN_PASSWORD")
	cfg.DBName, cfg.MultiStatements = stacktest.Env(t, "SOURCE_MYSQL_DATABASE"), true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return admin{execute: func(ctx context.Context, statements string) error {
		_, err := db.ExecContext(ctx, statements)
		return err
	}}
}
