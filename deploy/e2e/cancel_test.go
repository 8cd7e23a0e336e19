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
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// A cancellation stops the query on the server and leaves nothing in S3, within two seconds.
func TestCancelStopsTheQuery(t *testing.T) {
	const mayTake = 2 * time.Second
	for database, query := range map[ingest.Database]func(*testing.T) endless{
		ingest.PostgreSQL: endlessPostgreSQL, ingest.MySQL: endlessMySQL, ingest.MongoDB: endlessMongoDB,
	} {
		t.Run(string(database), func(t *testing.T) {
			q := query(t)
			s := newSystem(t, q.env...)
			s.work(database)
			header := s.call(http.MethodPost, "/api/ingesta/"+string(database), "", nil, http.StatusAccepted, nil)
			stacktest.Eventually(t, "the server works on the query", q.running)

			asked := time.Now()
			s.call(http.MethodPost, header.Get("Location")+"/cancel", "", nil, http.StatusAccepted, nil)
			job := s.follow(header.Get("Location"))
			stacktest.Eventually(t, "the server has stopped the query", func() bool { return !q.running() })
			took := time.Since(asked)
			if job.Status != ingest.Cancelled || took > mayTake {
				t.Errorf("the job ended as %s and its query after %v; want it cancelled, within %v", job.Status, took, mayTake)
			}
			s.empty()
			if e := s.event(job.ID); e.Body.Status != "cancelled" {
				t.Errorf("the completion event says %s", e.Body.Status)
			}
		})
	}
}

// empty makes sure that there is neither an object nor an upload in the bucket.
func (s *system) empty() {
	s.t.Helper()
	client := stacktest.S3(s.t)
	objects, err := client.ListObjectsV2(s.t.Context(), &s3.ListObjectsV2Input{Bucket: &s.bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	uploads, err := client.ListMultipartUploads(s.t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(objects.Contents)+len(uploads.Uploads) > 0 {
		s.t.Errorf("left in S3 are %d objects and %d uploads, want nothing", len(objects.Contents), len(uploads.Uploads))
	}
}

// endless is a dataset that takes for ever to read.
type endless struct {
	env     []string    // that make it the only one
	running func() bool // whether the server works on it
}

// only writes a catalog with this one dataset, and returns the variable that names it.
func only(t *testing.T, database ingest.Database, dataset string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	text := fmt.Sprintf("version: 1\ndatabases:\n  - name: %s\n    datasets:\n      - {name: lenta, %s}\n", database, dataset)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "CATALOG_FILE=" + path
}

func endlessPostgreSQL(t *testing.T) endless {
	marker := "prueba_" + strings.ToLower(rand.Text())
	conn, err := pgx.Connect(t.Context(), (&url.URL{
		Scheme: "postgres", User: url.UserPassword(stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_USER"), stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_PASSWORD")),
		Host: net.JoinHostPort(stacktest.Env(t, "POSTGRES_HOST"), stacktest.Env(t, "POSTGRES_PORT")), Path: stacktest.Env(t, "POSTGRES_DATABASE"),
	}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return endless{
		[]string{only(t, ingest.PostgreSQL, fmt.Sprintf(
			"requires: [productos], columns: [id, %[1]s], query: 'SELECT i AS id, pg_sleep(0.01)::text AS %[1]s FROM generate_series(1, 1000000) i'", marker))},
		func() (is bool) {
			err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE $1)", "%"+marker+"%").Scan(&is)
			if err != nil {
				t.Fatal(err)
			}
			return is
		},
	}
}

func endlessMySQL(t *testing.T) endless {
	marker := "prueba_" + strings.ToLower(rand.Text())
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(stacktest.Env(t, "SOURCE_MYSQL_HOST"), stacktest.Env(t, "SOURCE_MYSQL_PORT"))
	cfg.User, cfg.Passwd = stacktest.Env(t, "LOCAL_MYSQL_ADMIN_USER"), stacktest.Env(t, "LOCAL_MYSQL_ADMIN_PASSWORD")
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return endless{
		[]string{only(t, ingest.MySQL, fmt.Sprintf(
			"requires: [users], columns: [id, %[1]s], query: 'SELECT seq AS id, SLEEP(0.01) AS %[1]s FROM seq_1_to_1000000'", marker))},
		func() (is bool) {
			err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) > 0 FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE ?", "%"+marker+"%").Scan(&is)
			if err != nil {
				t.Fatal(err)
			}
			return is
		},
	}
}

// endlessMongoDB reads the collection of the demo data over a way on which no batch but the first
// arrives. The server does not show its cursors: what counts is that it is told to forget this one.
func endlessMongoDB(t *testing.T) endless {
	way := newEavesdropper(t, net.JoinHostPort(stacktest.Env(t, "MONGO_HOST"), stacktest.Env(t, "MONGO_PORT")), "getMore")
	host, port, err := net.SplitHostPort(way.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return endless{
		[]string{only(t, ingest.MongoDB, "collection: recetas, columns: [_id]"), "MONGO_HOST=" + host, "MONGO_PORT=" + port},
		func() bool { return way.heard("getMore") && !way.heard("killCursors") },
	}
}

// eavesdropper is a way to a server that hears what clients say, and holds the answers on every
// connection from the moment on that its client has said a word.
type eavesdropper struct {
	listener net.Listener
	word     []byte

	mu   sync.Mutex
	said []byte
}

func newEavesdropper(t *testing.T, server, word string) *eavesdropper {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &eavesdropper{listener: listener, word: []byte(word)}
	ctx, cancel := context.WithCancel(context.Background())
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed at the test's end
			}
			passing.Go(func() { e.pass(ctx, client, server) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close() // it was open
		passing.Wait()
	})
	return e
}

// heard reports whether a client has said the word.
func (e *eavesdropper) heard(word string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return bytes.Contains(e.said, []byte(word))
}

// pass passes on what travels between the client and the server until either closes or ctx ends.
func (e *eavesdropper) pass(ctx context.Context, client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { client.Close(); upstream.Close() })()
	held := make(chan struct{})
	hold := sync.OnceFunc(func() { close(held) })
	var answers sync.WaitGroup
	answers.Go(func() {
		defer cancel()
		copyUntil(client, upstream, func([]byte) {
			select {
			case <-held:
				<-ctx.Done()
			default:
			}
		})
	})
	copyUntil(upstream, client, func(said []byte) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.said = append(e.said, said...)
		if bytes.Contains(said, e.word) {
			hold()
		}
	})
	cancel()
	answers.Wait()
}

// copyUntil copies until either end is closed, after seen has seen each piece.
func copyUntil(to, from net.Conn, seen func([]byte)) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			seen(buf[:n])
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
