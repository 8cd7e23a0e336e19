package jobstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// Waits in tests: a lease that a test lets run out is short, one that must hold is long.
const (
	shortLease = 50 * time.Millisecond
	longLease  = time.Minute
	deadline   = 10 * time.Second
)

// open returns a store of the test's own on the real server: its prefix is random, and its keys
// are removed at the end. Settings may be changed by adjust.
func open(t testing.TB, adjust ...func(*Config)) *Store {
	t.Helper()
	cfg := server(t)
	cfg.Prefix = "test-" + rand.Text()
	for _, f := range adjust {
		f(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		audit(t, s)
		wipe(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	if err := s.Ping(t.Context()); err != nil {
		t.Fatalf("reaching redis: %v", err)
	}
	return s
}

// server returns the settings of the local stack's Redis, with leases that hold.
func server(t testing.TB) Config {
	t.Helper()
	var cfg Config
	stacktest.Load(t, &cfg)
	cfg.DialTimeout, cfg.IOTimeout, cfg.Timeout = 2*time.Second, 3*time.Second, 5*time.Second
	cfg.Retention, cfg.Lease, cfg.MaxFailures = time.Hour, longLease, 5
	cfg.IdempotencyTTL, cfg.RepublishAfter = time.Hour, time.Hour
	return cfg
}

// wipe removes every key of the store's prefix.
func wipe(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	keys := s.client.Scan(ctx, 0, s.prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := s.client.Del(ctx, keys.Val()).Err(); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	}
	if err := keys.Err(); err != nil {
		t.Errorf("cleaning up: %v", err)
	}
}

// forget removes what Redis knows of a job, as a flush would.
func forget(t testing.TB, s *Store, id string) {
	t.Helper()
	ctx := t.Context()
	job, err := s.client.HGetAll(ctx, s.prefix+"job:"+id).Result()
	if err != nil || len(job) == 0 {
		t.Fatalf("reading the job to forget: %v, %v", job, err)
	}
	created, err := strconv.ParseInt(job["created_ms"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	member := indexMember(ingest.Job{ID: id, CreatedAt: time.UnixMilli(created)})
	pipe := s.client.TxPipeline()
	pipe.Del(ctx, s.prefix+"job:"+id)
	for _, set := range []string{"open", "cancelling"} {
		pipe.ZRem(ctx, s.prefix+set, id)
	}
	for _, kind := range []Kind{CommandEntry, EventEntry} {
		pipe.ZRem(ctx, s.prefix+"outbox", string(kind)+":"+id)
	}
	pipe.ZRem(ctx, s.prefix+"same:"+job["same"], id)
	database, status := ingest.Database(job["database"]), ingest.Status(job["status"])
	for _, q := range []Query{{}, {Database: database}, {Status: status}, {Database: database, Status: status}} {
		pipe.ZRem(ctx, s.prefix+index(q), member)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatalf("forgetting the job: %v", err)
	}
}

// indexMember returns the form in which indexes name the job.
func indexMember(job ingest.Job) string {
	return fmt.Sprintf("%015d:%s", job.CreatedAt.UnixMilli(), job.ID)
}

// submission returns one for two datasets of MySQL under a fresh id.
func submission() Submission {
	return Submission{
		ID: rand.Text(), Database: ingest.MySQL, RequestedBy: "ana", RequestID: "req-1", CatalogDigest: "digest",
		Targets: []ingest.Target{
			{Dataset: "users", Key: "mysql/users_{stamp}.csv"},
			{Dataset: "compras", Key: "mysql/compras_{stamp}.csv"},
		},
	}
}

// accepted returns a job that was just accepted.
func accepted(t testing.TB, s *Store) ingest.Job {
	t.Helper()
	a, err := s.Accept(t.Context(), []Submission{submission()}, nil)
	if err != nil {
		t.Fatalf("accepting a job: %v", err)
	}
	return a.Jobs[0]
}

// claim claims the job for worker w and insists on the outcome.
func claim(t testing.TB, s *Store, job ingest.Job, want Outcome) Claim {
	t.Helper()
	c, err := s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Worker: "w"})
	if err != nil {
		t.Fatalf("claiming: %v", err)
	}
	if c.Outcome != want {
		t.Fatalf("claiming: outcome %s (retry after %v), want %s", c.Outcome, c.RetryAfter, want)
	}
	return c
}

// takeover claims the job as soon as its lease is dead.
func takeover(t testing.TB, s *Store, job ingest.Job) Claim {
	t.Helper()
	var c Claim
	stacktest.Eventually(t, "the lease runs out", func() bool {
		var err error
		if c, err = s.Claim(t.Context(), ClaimRequest{Command: job.Command(), Worker: "successor"}); err != nil {
			t.Fatalf("claiming: %v", err)
		}
		return c.Outcome != Busy
	})
	return c
}

// stored returns the job as Redis has it.
func stored(t testing.TB, s *Store, id string) ingest.Job {
	t.Helper()
	job, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("reading job %s: %v", id, err)
	}
	return job
}

// outbox returns the members of the outbox that concern the job.
func outbox(t testing.TB, s *Store, id string) string {
	t.Helper()
	members, err := s.client.ZRange(t.Context(), s.prefix+"outbox", 0, -1).Result()
	if err != nil {
		t.Fatalf("reading the outbox: %v", err)
	}
	var kinds []string
	for _, m := range members {
		if kind, of, _ := strings.Cut(m, ":"); of == id {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, " ")
}

func wantError(t testing.TB, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error is %v, want %v", doing, got, want)
	}
}

// done returns the result of a complete dataset.
func done(dataset string, rows int64) ingest.Result {
	return ingest.Result{
		Dataset: dataset, State: ingest.Done, Rows: rows, Bytes: rows * 10, SHA256: "abc", Format: "CSV",
		Columns: []ingest.Column{{Name: "id", Type: "integer", SourceType: "bigint"}},
	}
}

func TestUnavailable(t *testing.T) {
	cfg := server(t)
	cfg.Prefix, cfg.Port, cfg.Timeout = "test", 1, time.Second
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	job := ingest.Job{ID: "a", Database: ingest.MySQL, Results: ingest.Results{{Dataset: "users", Key: "k"}}}
	lease := newLease(s, job, record{})
	for name, call := range map[string]func() error{
		"Ping":       func() error { return s.Ping(ctx) },
		"Accept":     func() error { _, err := s.Accept(ctx, []Submission{submission()}, nil); return err },
		"Get":        func() error { _, err := s.Get(ctx, "a"); return err },
		"List":       func() error { _, err := s.List(ctx, Query{}); return err },
		"Claim":      func() error { _, err := s.Claim(ctx, ClaimRequest{Command: job.Command()}); return err },
		"Renew":      func() error { _, err := lease.Renew(ctx, nil); return err },
		"Settle":     func() error { return s.Settle(ctx, EventEntry, "a") },
		"Durability": func() error { _, err := s.Durability(ctx); return err },
	} {
		wantError(t, name+" without a server", call(), ErrUnavailable)
	}
}

func TestCancelledContextIsNotUnavailable(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, "a")
	wantError(t, "reading with a cancelled context", err, context.Canceled)
	if errors.Is(err, ErrUnavailable) {
		t.Errorf("the caller's own cancellation was taken for a server that is away: %v", err)
	}
}

func TestWrap(t *testing.T) {
	for text, unavailable := range map[string]bool{
		"LOADING Redis is loading the dataset in memory":            true,
		"MISCONF Redis is configured to save RDB snapshots":         true,
		"OOM command not allowed when used memory > 'maxmemory'.":   true,
		"ERR Error running script: -OOM command not allowed":        true,
		"NOAUTH Authentication required.":                           true,
		"ERR max number of clients reached":                         true,
		"ERR user_script:3: Script attempted to access nonexistent": false,
		"WRONGTYPE Operation against a key holding the wrong kind":  false,
	} {
		err := wrap(t.Context(), "testing", serverError(text))
		if got := errors.Is(err, ErrUnavailable); got != unavailable {
			t.Errorf("reply %q: unavailable is %v, want %v", text, got, unavailable)
		}
	}
}

// serverError is an error reply of a server.
type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

var _ redis.Error = serverError("")
