package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// TestGiantRows reads rows of several packets. One begins with a value of 16 MiB, whose first byte
// is also that of the packet that ends the rows; one fills its packet to the last byte, so that an
// empty one follows.
func TestGiantRows(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE una (id int PRIMARY KEY)")
	must(t, s.admin, "INSERT INTO una VALUES (1), (2), (3), (4)")
	sizes := [][3]int{{1, 2, 3}, {1 << 24, 250, 9 << 20}, {maxPayload - (4 + 1 + 250 + 3 + 251), 250, 251}, {250, 1<<16 - 1, 1 << 16}}
	var columns []string
	for j, name := range []string{"a", "b", "c"} {
		expression := "REPEAT('" + name + "', CASE id"
		for i := range sizes {
			expression += fmt.Sprintf(" WHEN %d THEN %d", i+1, sizes[i][j])
		}
		columns = append(columns, expression+" END) AS "+name)
	}
	_, _, records := extracttest.Export(t, s.source(t, extracttest.Granted), catalog.Dataset{
		Name: "giant", Query: "SELECT " + strings.Join(columns, ", ") + " FROM una ORDER BY id",
		Columns: []catalog.Column{{Name: "a"}, {Name: "b"}, {Name: "c"}},
	})
	if len(records) != len(sizes) {
		t.Fatalf("read %d rows, want %d", len(records), len(sizes))
	}
	for i, record := range records {
		for j, got := range record {
			if want := strings.Repeat("abc"[j:j+1], sizes[i][j]); got.Text != want {
				t.Errorf("row %d has %d bytes of column %d, want %d times %s", i, len(got.Text), j, len(want), want[:1])
			}
		}
	}
}

// cutter passes connections on to a server and cuts each off after so many bytes of the server's.
type cutter struct {
	net.Listener
	to    string
	bytes int64
}

func newCutter(t *testing.T, to Config, bytes int64) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: listener, to: to.Driver().Addr, bytes: bytes}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := c.Accept()
			if err != nil {
				return
			}
			c.pass(conn)
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return c
}

// pass serves one connection to its end.
func (c *cutter) pass(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	}()
	_, _ = io.CopyN(conn, server, c.bytes)
	_ = conn.Close() // in order: to the client it looks like an end
	<-asked
}

// TestCutConnection ends the connection wherever it can: never must a part of the rows pass for all.
func TestCutConnection(t *testing.T) {
	s := newServer(t)
	const rows = 3000
	d := s.users(t, "users", rows)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	read := func(bytes int64) (int64, error) {
		through := *s
		c := newCutter(t, s.config, bytes)
		through.config.Host, through.config.Port = "127.0.0.1", c.Addr().(*net.TCPAddr).Port
		through.config.TLS = "false"
		opened, err := through.source(t, extracttest.Granted).Open(t.Context())
		if err != nil {
			return 0, err
		}
		defer func() { _ = opened.Close(context.Background()) }()
		extraction, err := opened.Prepare(t.Context(), d)
		if err != nil {
			return 0, err
		}
		tally, err := extraction.Run(t.Context(), &drain{Writer: io.Discard})
		return tally.Rows, err
	}
	if got, err := read(1 << 40); err != nil || got != rows {
		t.Fatalf("uncut: %d rows, %v; want %d", got, err, rows)
	}
	const all = 200_000 // bytes that the server sends in all, at least
	within := 0
	for range 60 {
		bytes := random.Int64N(all)
		got, err := read(bytes)
		failure, ok := errors.AsType[*ingest.Error](err)
		if !ok || failure.Code != ingest.SourceUnavailable || !failure.Transient {
			t.Errorf("cut after %d bytes: %d rows, %v; want the error of a lost connection", bytes, got, err)
		}
		if ok && strings.Contains(fmt.Sprint(failure.Unwrap()), "reading rows") {
			within++
		}
	}
	if within == 0 {
		t.Error("no cut hit the rows")
	}
}

// TestDirectGoesOn checks that the driver finds its connection in order after rows that it never saw,
// whether they were read to their end, ended by an error or left half read.
func TestDirectGoesOn(t *testing.T) {
	s := newServer(t)
	s.config.TLS = "false"
	d := s.users(t, "users", 3000)
	must(t, s.admin, "CREATE TABLE una (id bigint PRIMARY KEY)")
	must(t, s.admin, "INSERT INTO una VALUES (-3), (-2), (-1), (1)")
	opened, err := s.source(t, extracttest.Granted).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close(t.Context()) }()
	run := func(d catalog.Dataset, sink engine.Sink) (engine.Tally, error) {
		extraction, err := opened.Prepare(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return extraction.Run(t.Context(), sink)
	}
	late := catalog.Dataset{ // fails in its fourth row
		Name: "tarde", Query: "SELECT 9223372036854775807 + id AS a FROM una ORDER BY id", Columns: []catalog.Column{{Name: "a"}},
	}
	full := errors.New("full")
	for range 3 {
		if tally, err := run(d, &drain{Writer: io.Discard}); err != nil || tally.Rows != 3000 {
			t.Fatalf("whole: %d rows, %v; want 3000", tally.Rows, err)
		}
		if _, err := run(late, &drain{Writer: io.Discard}); !ingest.HasCode(err, ingest.QueryFailed) {
			t.Fatalf("a query that fails among its rows: %v, want %s", err, ingest.QueryFailed)
		}
	}
	if _, err := run(d, &drain{Writer: refusing{full}}); err != full { //nolint:errorlint // the very error
		t.Fatalf("a sink that fails: %v, want its error", err)
	}
	if tally, err := run(d, &drain{Writer: io.Discard}); err != nil || tally.Rows != 3000 {
		t.Fatalf("after a sink that failed: %d rows, %v; want 3000", tally.Rows, err)
	}
}

// refusing takes nothing.
type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }
