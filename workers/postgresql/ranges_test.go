package postgresql

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// file is a sink that keeps everything, and calls before ahead of each Write.
type file struct {
	bytes.Buffer
	rows   int64
	writes int
	before func(write int)
}

func (f *file) Write(p []byte) (int, error) {
	if f.before != nil {
		f.before(f.writes)
	}
	f.writes++
	return f.Buffer.Write(p)
}

func (f *file) AddRows(n int64) { f.rows += n }

// opened opens a session of the source, which is closed when the test ends.
func opened(t testing.TB, source *Source) *session {
	t.Helper()
	s, err := source.Open(t.Context())
	if err != nil {
		t.Fatalf("opening a session: %v", err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s.(*session)
}

func prepared(t testing.TB, s *session, d catalog.Dataset) engine.Extraction {
	t.Helper()
	extraction, err := s.Prepare(t.Context(), d)
	if err != nil {
		t.Fatalf("preparing: %v", err)
	}
	return extraction
}

// in returns a source that has been changed.
func (s *server) in(t *testing.T, change func(*Source)) *Source {
	source := s.source(t, extracttest.Granted)
	change(source)
	return source
}

// another connects once more as administrator.
func (s *server) another(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), s.admin.Config())
	if err != nil {
		t.Fatalf("connecting as administrator: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// onlyOne waits until the session's own connection is the only one.
func (s *server) onlyOne(t *testing.T) {
	t.Helper()
	stacktest.Eventually(t, "no connection is left but that of the session", func() bool {
		open, _ := s.Sessions(t)
		return open == 1
	})
}

// TestRangesShowOneSnapshot reads a table over several connections while its rows are inserted,
// changed, moved and deleted. The file is, byte for byte, what PostgreSQL itself writes of the
// snapshot over one connection.
func TestRangesShowOneSnapshot(t *testing.T) {
	s := newServer(t)
	for _, statement := range []string{
		"CREATE TABLE ventas (id bigint, texto text, nota text, precio double precision)",
		`INSERT INTO ventas SELECT i, repeat(chr(97 + i % 26), i % 300), CASE i % 3 WHEN 0 THEN 'a, "b"' WHEN 1 THEN '' END, i / 7.0
			FROM generate_series(1, 40000) i`,
		// Values beside the table, rows on other pages than they were first on, and pages with holes.
		"UPDATE ventas SET texto = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) i) WHERE id % 997 = 0",
		"UPDATE ventas SET nota = nota || 'cambiada' WHERE id % 11 = 0",
		"DELETE FROM ventas WHERE id BETWEEN 5000 AND 9000",
		"INSERT INTO ventas SELECT i, 'nueva', NULL, 0 FROM generate_series(50001, 50500) i",
	} {
		must(t, s.admin, statement)
	}
	source := s.in(t, cutSmall)
	session := opened(t, source)
	reader := s.another(t)
	must(t, reader, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '"+session.snapshot.ID+"'; SET LOCAL synchronize_seqscans = off")
	d := catalog.Dataset{Name: "ventas", Table: "ventas", Where: "id > 17 OR nota IS NULL"}
	extraction := prepared(t, session, d)
	change := func(i int) {
		must(t, s.admin, fmt.Sprintf("UPDATE ventas SET texto = texto || 'x' WHERE id %% 13 = %d", i))
		must(t, s.admin, fmt.Sprintf("DELETE FROM ventas WHERE id %% 17 = %d", i))
		must(t, s.admin, fmt.Sprintf("INSERT INTO ventas SELECT %d, 'tarde', NULL, 1 FROM generate_series(1, 2000)", 100_000+i))
		must(t, s.admin, "VACUUM ventas")
	}
	change(0)

	var connections int
	out := &file{before: func(write int) {
		if write == 0 {
			connections, _ = s.Sessions(t)
		}
		if write%4 == 0 && write < 48 {
			change(1 + write/4)
		}
	}}
	tally, err := extraction.Run(t.Context(), out)
	if err != nil {
		t.Fatalf("running: %v", err)
	}
	if connections != source.parallel {
		t.Errorf("the table was read over %d connections, want %d", connections, source.parallel)
	}
	var want bytes.Buffer
	tag, err := reader.PgConn().CopyTo(t.Context(), &want, "COPY (SELECT * FROM ventas WHERE "+d.Where+") TO STDOUT WITH (FORMAT csv)")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want.Bytes()) {
		t.Errorf("the file has %d bytes (%x), want the %d bytes (%x) that PostgreSQL writes of the snapshot",
			out.Len(), sha256.Sum256(out.Bytes()), want.Len(), sha256.Sum256(want.Bytes()))
	}
	if tally.Rows != tag.RowsAffected() || out.rows != tally.Rows {
		t.Errorf("the tally says %d rows, the progress %d, want %d", tally.Rows, out.rows, tag.RowsAffected())
	}

	source.parallel = 1
	again := new(file)
	if _, err := prepared(t, session, d).Run(t.Context(), again); err != nil {
		t.Fatalf("running over one connection: %v", err)
	}
	if !bytes.Equal(again.Bytes(), out.Bytes()) {
		t.Errorf("over one connection the file is another one")
	}
	s.onlyOne(t)
}

// TestRangesRecode reads JSON, masks and a single nullable column over several connections.
func TestRangesRecode(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE fichas (id bigint, ficha jsonb, sola text)")
	must(t, s.admin, `INSERT INTO fichas SELECT i, jsonb_build_object('b', i, 'a', repeat('"x" ', i % 9)), CASE WHEN i % 5 > 0 THEN 'ñ' END
		FROM generate_series(1, 30000) i`)
	source := s.in(t, cutSmall)
	for _, d := range []catalog.Dataset{
		{Name: "fichas", Table: "fichas"},
		{Name: "fichas", Table: "fichas", Columns: []catalog.Column{{Name: "sola"}}},
	} {
		export := func(parallel int) (*file, engine.Tally) {
			source.parallel = parallel
			session := opened(t, source)
			out := new(file)
			tally, err := prepared(t, session, d).Run(t.Context(), out)
			if err != nil {
				t.Fatalf("running: %v", err)
			}
			return out, tally
		}
		one, wanted := export(1)
		several, tally := export(3)
		if !bytes.Equal(one.Bytes(), several.Bytes()) {
			t.Errorf("columns %v: the file differs from that of one connection", d.Columns)
		}
		if tally.Rows != 30_000 || several.rows != 30_000 || fmt.Sprint(tally) != fmt.Sprint(wanted) {
			t.Errorf("columns %v: got %+v and a progress of %d, want %+v", d.Columns, tally, several.rows, wanted)
		}
	}
}

// TestRangesOnlyWhereTheyPay prepares datasets that one connection reads better, or alone can.
func TestRangesOnlyWhereTheyPay(t *testing.T) {
	s := newServer(t)
	for _, statement := range []string{
		"CREATE TABLE grande (id bigint PRIMARY KEY, texto text)",
		"INSERT INTO grande SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i",
		"CREATE TABLE chica AS TABLE grande LIMIT 10",
		"CREATE VIEW vista AS TABLE grande",
		"CREATE MATERIALIZED VIEW foto AS TABLE grande",
		"CREATE TABLE partida (id bigint, texto text) PARTITION BY RANGE (id)",
		"CREATE TABLE partida_1 PARTITION OF partida FOR VALUES FROM (0) TO (1000000)",
		"INSERT INTO partida TABLE grande",
		"CREATE TABLE madre AS TABLE grande",
		"CREATE TABLE hija () INHERITS (madre)",
		"ANALYZE",
	} {
		must(t, s.admin, statement)
	}
	tests := []struct {
		name     string
		dataset  catalog.Dataset
		change   func(*Source)
		parallel bool
	}{
		{"a table", catalog.Dataset{Table: "grande"}, nil, true},
		{"a condition on most rows", catalog.Dataset{Table: "grande", Where: "id > 100"}, nil, true},
		{"a materialized view", catalog.Dataset{Table: "foto"}, nil, false},
		{"a partition", catalog.Dataset{Table: "partida_1"}, nil, true},
		{"one connection", catalog.Dataset{Table: "grande"}, func(s *Source) { s.parallel = 1 }, false},
		{"a small table", catalog.Dataset{Table: "grande"}, func(s *Source) { s.large = 1 << 30 }, false},
		{"a table of one page", catalog.Dataset{Table: "chica"}, nil, false},
		{"an order", catalog.Dataset{Table: "grande", OrderBy: []catalog.Order{{Column: "id"}}}, nil, false},
		{"a condition that an index answers", catalog.Dataset{Table: "grande", Where: "id = 7"}, nil, false},
		{"a condition that an index answers better than the pages together", catalog.Dataset{Table: "grande", Where: "id < 1000"}, nil, false},
		{"a condition with a subquery", catalog.Dataset{Table: "grande", Where: "id NOT IN (SELECT id FROM chica)"}, nil, false},
		{"a view", catalog.Dataset{Table: "vista"}, nil, false},
		{"a partitioned table", catalog.Dataset{Table: "partida"}, nil, false},
		{"a table with descendants", catalog.Dataset{Table: "madre"}, nil, false},
		{"a query", catalog.Dataset{Query: "SELECT * FROM grande", Columns: []catalog.Column{{Name: "id"}}}, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := s.in(t, cutSmall)
			if test.change != nil {
				test.change(source)
			}
			var open int
			out := &file{before: func(int) { open, _ = s.Sessions(t) }}
			session := opened(t, source)
			s.onlyOne(t) // that of an earlier test is gone
			tally, err := prepared(t, session, test.dataset).Run(t.Context(), out)
			if err != nil || tally.Rows != out.rows || tally.Rows == 0 {
				t.Fatalf("got %d rows and %v, the progress says %d", tally.Rows, err, out.rows)
			}
			if (open > 1) != test.parallel {
				t.Errorf("the rows came over %d connections, want more than one: %t", open, test.parallel)
			}
		})
	}
}

// TestRangesOnlyWhereTheServerReadsThem reads a table in one go where each range would take a look at
// the whole of it.
func TestRangesOnlyWhereTheServerReadsThem(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE grande AS SELECT i AS id, repeat('x', 100) AS texto FROM generate_series(1, 20000) i")
	must(t, s.admin, "ALTER ROLE "+s.reader+" SET enable_tidscan = off")
	var open int
	out := &file{before: func(int) { open, _ = s.Sessions(t) }}
	tally, err := prepared(t, opened(t, s.in(t, cutSmall)), catalog.Dataset{Table: "grande"}).Run(t.Context(), out)
	if err != nil || tally.Rows != 20_000 || open != 1 {
		t.Errorf("got %d rows and %v over %d connections, want all of them over one", tally.Rows, err, open)
	}
}

// TestRangesWithoutHelp reads a table over the session's own connection where there is no other, or
// none that could be trusted.
func TestRangesWithoutHelp(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE grande AS SELECT i AS id, repeat('x', 100) AS texto FROM generate_series(1, 20000) i")
	source := s.in(t, cutSmall)
	grande := catalog.Dataset{Table: "grande"}
	alone := func(t *testing.T, session *session, extraction engine.Extraction) {
		t.Helper()
		s.onlyOne(t) // that of an earlier test is gone
		began := time.Now()
		var open int
		out := &file{before: func(int) { open, _ = s.Sessions(t) }}
		tally, err := extraction.Run(t.Context(), out)
		if err != nil || tally.Rows != 20_000 {
			t.Fatalf("got %d rows and %v, want all of them over one connection", tally.Rows, err)
		}
		if took := time.Since(began); open != 1 || took > helpTimeout {
			t.Errorf("the rows came over %d connections in %v, want one, and no waiting for another", open, took)
		}
	}

	t.Run("the server takes no other connection", func(t *testing.T) {
		must(t, s.admin, "ALTER ROLE "+s.reader+" CONNECTION LIMIT 1")
		defer must(t, s.admin, "ALTER ROLE "+s.reader+" CONNECTION LIMIT -1")
		session := opened(t, source)
		alone(t, session, prepared(t, session, grande))
	})
	t.Run("someone waits to change the table", func(t *testing.T) {
		session := opened(t, source)
		extraction := prepared(t, session, grande)
		other, locked := s.another(t), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := other.Exec(ctx, "BEGIN; LOCK TABLE grande IN ACCESS EXCLUSIVE MODE")
			locked <- err
		}()
		defer func() {
			cancel()
			if err := <-locked; err == nil {
				t.Error("the table was locked while a session reads it")
			}
		}()
		stacktest.Eventually(t, "someone waits for the lock", func() (waits bool) {
			if err := s.admin.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'grande'::regclass").Scan(&waits); err != nil {
				t.Fatal(err)
			}
			return waits
		})
		alone(t, session, extraction)
	})
	t.Run("the connection reaches another server", func(t *testing.T) {
		session := opened(t, source)
		prepared(t, session, grande) // locks the table
		if _, err := session.helper(t.Context(), &ranges{table: `"grande"`, server: "another"}); err == nil {
			t.Error("a connection to another server was taken for one to the session's")
		}
		s.onlyOne(t)
	})
	t.Run("the server does not know the snapshot", func(t *testing.T) {
		session := opened(t, source)
		extraction := prepared(t, session, grande)
		session.snapshot.ID = "00000000-00000000-1"
		alone(t, session, extraction)
	})
}

// TestRangesWaitForTheSink checks that no connection gets far ahead of a sink that takes nothing.
func TestRangesWaitForTheSink(t *testing.T) {
	s := newServer(t)
	const rows = 100_000
	must(t, s.admin, fmt.Sprintf("CREATE TABLE grande AS SELECT i AS id, repeat('x', 1000) AS texto FROM generate_series(1, %d) i", rows))
	source := s.in(t, func(s *Source) { s.parallel, s.large, s.rangeOf = 3, 1, 32<<20 })
	session := opened(t, source)
	out := &file{before: func(write int) {
		if write > 0 {
			return
		}
		stacktest.Eventually(t, "the server waits on all connections for rows to be taken", func() bool {
			var waiting int
			err := s.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event = 'ClientWrite'", s.reader).Scan(&waiting)
			if err != nil {
				t.Fatal(err)
			}
			return waiting == 3
		})
	}}
	tally, err := prepared(t, session, catalog.Dataset{Table: "grande"}).Run(t.Context(), out)
	if err != nil || tally.Rows != rows || bytes.Count(out.Bytes(), []byte("\n")) != rows {
		t.Errorf("got %d rows and %v, want %d", tally.Rows, err, rows)
	}
}

// TestRangesAreDisjointAndComplete checks the conditions, which PostgreSQL reads as those of its rows.
func TestRangesAreDisjointAndComplete(t *testing.T) {
	s := newServer(t)
	for _, pages := range []int64{1, 2, 7, 8, 9} {
		for step := int64(1); step <= 9; step++ {
			r := newRanges("t", pages, step)
			var conditions []string
			for i := range r.count {
				conditions = append(conditions, "("+r.condition(i)+")::int")
			}
			// Also pages that the table did not have when it was cut.
			var wrong int
			err := s.admin.QueryRow(t.Context(), "SELECT count(*) FROM (SELECT format('(%s,%s)', page, line)::tid AS ctid FROM generate_series(0, 12) page, generate_series(1, 3) line) t WHERE "+
				strings.Join(conditions, " + ")+" <> 1").Scan(&wrong)
			if err != nil || wrong > 0 {
				t.Errorf("%d places of a table of %d pages are in no range of %d pages or in several (%v)", wrong, pages, step, err)
			}
		}
	}
}

// TestRowsComeInTheOrderOfTheirPages reads a table while another reader is in the middle of it, whom
// the server would have us join.
func TestRowsComeInTheOrderOfTheirPages(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE grande AS SELECT i AS id, repeat('x', 1000) AS texto FROM generate_series(1, 40000) i")
	must(t, s.admin, "BEGIN; DECLARE otro CURSOR FOR SELECT * FROM grande; MOVE 20000 IN otro")
	for _, parallel := range []int{1, 2} {
		source := s.in(t, cutSmall)
		source.parallel = parallel
		_, _, records := extracttest.Export(t, source, catalog.Dataset{Table: "grande"})
		if first := records[0][0].Text; first != "1" {
			t.Errorf("over %d connections the first row of the file is %s, want the first of the table", parallel, first)
		}
	}
}

// TestRangesFail checks that one connection's failure is that of the dataset, and leaves nothing.
func TestRangesFail(t *testing.T) {
	s := newServer(t)
	must(t, s.admin, "CREATE TABLE grande AS SELECT i AS id, repeat('x', 100) AS texto FROM generate_series(1, 50000) i")
	source := s.in(t, cutSmall)

	t.Run("in a late range", func(t *testing.T) {
		session := opened(t, source)
		extraction := prepared(t, session, catalog.Dataset{Table: "grande", Where: "1 / (id - 40000) < 2"})
		if _, err := extraction.Run(t.Context(), new(file)); !ingest.HasCode(err, ingest.QueryFailed) {
			t.Errorf("got %v, want the failure of the query", err)
		}
		s.onlyOne(t)
		if tally, err := prepared(t, session, catalog.Dataset{Table: "grande"}).Run(t.Context(), new(file)); err != nil || tally.Rows != 50_000 {
			t.Errorf("the session went on with %d rows and %v, want all of them", tally.Rows, err)
		}
	})
	t.Run("a helper's connection is lost", func(t *testing.T) {
		session := opened(t, source)
		out := &file{before: func(write int) {
			if write == 0 {
				must(t, s.admin, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1 AND pid <> $2", s.reader, session.conn.PID())
			}
		}}
		_, err := prepared(t, session, catalog.Dataset{Table: "grande"}).Run(t.Context(), out)
		if failed, ok := errors.AsType[*ingest.Error](err); !ok || failed.Code != ingest.SourceUnavailable || !failed.Transient {
			t.Errorf("got %v, want a failure that may pass", err)
		}
		s.onlyOne(t)
	})
}
