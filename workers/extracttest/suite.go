package extracttest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
)

const (
	// prompt is how long a cancelled extraction, and the server behind it, may take to stop.
	prompt = 5 * time.Second
	// patience bounds everything that ought to succeed.
	patience = 2 * time.Minute
	// bulk is the size of the large table: more than the sockets between a stalled sink and the
	// server can swallow, so that the server cannot be done with a query that nobody reads.
	bulk = 24 << 20
)

// Run holds the extractor of the fixture to the contract of engine.Source.
func Run(t *testing.T, f Fixture) {
	s := suite{f}
	t.Run("empty table", s.emptyTable)
	t.Run("text", s.text)
	t.Run("types", s.types)
	t.Run("one column", s.oneColumn)
	t.Run("column order", s.columnOrder)
	t.Run("sensitive columns", s.sensitiveColumns)
	t.Run("names that need quotes", s.oddNames)
	t.Run("signs of life", s.signsOfLife)
	t.Run("missing table", s.missingTable)
	t.Run("session goes on after failures", s.goesOn)
	t.Run("snapshot", s.snapshot)
	t.Run("unreachable server", s.unreachable)
	t.Run("wrong password", s.wrongPassword)
	t.Run("context over before the start", s.overBefore)
	t.Run("close", s.closes)
	t.Run("version", s.version)
	if !f.Collections {
		t.Run("all columns", s.allColumns)
		t.Run("missing column", s.missingColumn)
		t.Run("query", s.query)
		t.Run("failing query", s.failingQuery)
		t.Run("read-only", s.readOnly)
		t.Run("cancelled before the first row", s.cancelledEarly)
		t.Run("job cancelled before the first row", s.jobInSlowQuery)
	}
	if f.Forbidden != "" {
		t.Run("forbidden table", s.forbidden)
	}
	t.Run("large table", s.large)
}

type suite struct{ Fixture }

// version is what a look at the infrastructure shows of the server.
func (s suite) version(t *testing.T) {
	ask := func(access Access) (string, error) {
		source, ok := s.Source(t, access).(interface {
			Version(ctx context.Context) (string, error)
		})
		if !ok {
			t.Fatal("the source cannot tell its server's version")
		}
		return source.Version(t.Context())
	}
	if version, err := ask(Granted); err != nil || !regexp.MustCompile(`^\d+\.\d+`).MatchString(version) {
		t.Errorf("the version is %q, %v; want one that begins with two numbers", version, err)
	}
	if _, err := ask(WrongPassword); !ingest.HasCode(err, ingest.SourceDenied) {
		t.Errorf("asking with a wrong password: %v, want %s", err, ingest.SourceDenied)
	}
	if _, err := ask(ClosedPort); !ingest.HasCode(err, ingest.SourceUnavailable) {
		t.Errorf("asking where nobody listens: %v, want %s", err, ingest.SourceUnavailable)
	}
}

func (s suite) emptyTable(t *testing.T) {
	s.Server.Create(t, Table{Name: "nada", Columns: []Column{{"id", Int}, {"nombre", Text}}})
	got := s.export(t, s.open(t), s.dataset("nada", "id", "nombre"))
	if len(got.csv) != 0 || got.tally.Rows != 0 {
		t.Errorf("an empty table gave %d rows and %q, want nothing: the header is the caller's", got.tally.Rows, got.csv)
	}
	if got.EstimatedRows < 0 {
		t.Errorf("the estimate is %d, want 0 where the server does not know", got.EstimatedRows)
	}
	if !slices.Equal(names(got.Columns), []string{"id", "nombre"}) {
		t.Errorf("columns are %v, want id and nombre", names(got.Columns))
	}
	for _, c := range got.Columns {
		if !s.Collections && (c.Type == "" || c.SourceType == "") {
			t.Errorf("column %s lacks a type: %+v", c.Name, c)
		}
	}
}

func (s suite) text(t *testing.T) {
	texts := []string{
		"", " ", "a", "Ñandú, 5 mg", `"`, `""`, `dijo "sí"`, "a\nb", "a\r\nb", "a\rb", "\n", "\r", ",", ",,",
		`\.`, `\N`, `\`, `a\nb`, "NULL", "null", "💊🧪", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "日本語", "é", "\ufeffbom", "\t", "'", "%s {} $1 ?",
		strings.Repeat("largo, \"muy\" largo\n", 20_000),
	}
	table := Table{Name: "textos", Columns: []Column{{"id", Int}, {"a", Text}, {"b", Text}}}
	var want [][]Field
	for i, text := range texts {
		table.Rows = append(table.Rows, []any{int64(i), text, nil})
		want = append(want, []Field{{Text: fmt.Sprint(i)}, {Text: text}, {Null: true}})
	}
	table.Rows = append(table.Rows, []any{int64(len(texts)), nil, ""})
	want = append(want, []Field{{Text: fmt.Sprint(len(texts))}, {Null: true}, {Text: ""}})
	s.Server.Create(t, table)
	s.compare(t, s.export(t, s.open(t), s.dataset("textos", "id", "a", "b")), want)
}

func (s suite) types(t *testing.T) {
	table := Table{
		Name: "tipos",
		Columns: []Column{
			{"id", Int}, {"entero", Int}, {"activo", Bool}, {"precio", Float}, {"momento", Instant}, {"datos", Binary},
		},
		Rows: [][]any{
			{int64(1), int64(9223372036854775807), true, 0.1, time.Date(2025, 1, 2, 15, 30, 45, 0, time.UTC), []byte{0, 1, 255}},
			{int64(2), int64(-9223372036854775808), false, 1e15, time.Date(2025, 1, 2, 15, 30, 45, 120_000_000, time.UTC), []byte{}},
			{int64(3), int64(0), false, -1.5e-7, time.Date(1999, 12, 31, 23, 59, 59, 999_000_000, time.UTC), []byte(",\"\n")},
			{int64(4), nil, nil, nil, nil, nil},
			{int64(5), int64(1), true, 1e300, time.Date(2030, 2, 28, 0, 0, 0, 0, time.UTC), []byte("x")},
			{int64(6), int64(1), true, 100.0, time.Date(2030, 2, 28, 0, 0, 0, 1_000_000, time.UTC), []byte("x")},
		},
	}
	s.Server.Create(t, table)
	s.compare(t, s.export(t, s.open(t), s.dataset("tipos", "id", "entero", "activo", "precio", "momento", "datos")), [][]Field{
		text("1", "9223372036854775807", "true", "0.1", "2025-01-02 15:30:45+00", `\x0001ff`),
		text("2", "-9223372036854775808", "false", "1e+15", "2025-01-02 15:30:45.12+00", `\x`),
		text("3", "0", "false", "-1.5e-07", "1999-12-31 23:59:59.999+00", `\x2c220a`),
		{{Text: "4"}, {Null: true}, {Null: true}, {Null: true}, {Null: true}, {Null: true}},
		text("5", "1", "true", "1e+300", "2030-02-28 00:00:00+00", `\x78`),
		text("6", "1", "true", "100", "2030-02-28 00:00:00.001+00", `\x78`),
	})
}

func (s suite) oneColumn(t *testing.T) {
	s.Server.Create(t, Table{
		Name: "sola", Columns: []Column{{"id", Int}, {"a", Text}},
		Rows: [][]any{{int64(1), nil}, {int64(2), ""}, {int64(3), `\.`}, {int64(4), "x"}},
	})
	got := s.export(t, s.open(t), s.dataset("sola", "a"))
	records, err := ReadCSV(got.csv)
	if err != nil {
		t.Fatalf("reading %q: %v", got.csv, err)
	}
	var lines []string
	for _, r := range records {
		lines = append(lines, fmt.Sprint(r))
	}
	slices.Sort(lines)
	if want := []string{`[""]`, `["\\."]`, `["x"]`, "[NULL]"}; !slices.Equal(lines, want) {
		t.Errorf("got %v, want %v", lines, want)
	}
	if got.tally.Rows != 4 {
		t.Errorf("a record of one NULL must count as a row: got %d rows, want 4", got.tally.Rows)
	}
}

func (s suite) columnOrder(t *testing.T) {
	s.Server.Create(t, Table{
		Name: "orden", Columns: []Column{{"id", Int}, {"a", Text}, {"b", Text}},
		Rows: [][]any{{int64(1), "de a", "de b"}},
	})
	got := s.export(t, s.open(t), s.dataset("orden", "b", "id"))
	if want := "de b,1\n"; string(got.csv) != want {
		t.Errorf("got %q, want %q: the columns that the catalog names, in its order", got.csv, want)
	}
}

func (s suite) sensitiveColumns(t *testing.T) {
	s.Server.Create(t, Table{
		Name: "usuarios", Columns: []Column{{"id", Int}, {"nombre", Text}, {"password", Text}, {"api_token", Text}},
		Rows: [][]any{{int64(1), "Ana", "$2b$12$abc", "tok-1"}},
	})
	session := s.open(t)
	check := func(d catalog.Dataset, csv string, withheld ...string) {
		t.Helper()
		got := s.export(t, session, d)
		if string(got.csv) != csv {
			t.Errorf("with columns %v and allow %v: got %q, want %q", d.Columns, d.Allow, got.csv, csv)
		}
		var kept []string
		for _, w := range got.Withheld {
			if w.Rule == "" {
				t.Errorf("column %s was withheld without naming the rule", w.Name)
			}
			kept = append(kept, w.Name)
		}
		if !slices.Equal(kept, withheld) {
			t.Errorf("with columns %v and allow %v: withheld %v, want %v", d.Columns, d.Allow, kept, withheld)
		}
	}
	named := s.dataset("usuarios", "id", "nombre", "password", "api_token")
	check(named, "1,Ana\n", "password", "api_token")
	named.Allow = []string{"api_token"}
	check(named, "1,Ana,tok-1\n", "password")
	if !s.Collections {
		all := s.dataset("usuarios")
		check(all, "1,Ana\n", "password", "api_token")
		all.Allow = []string{"password"}
		check(all, "1,Ana,$2b$12$abc\n", "api_token")
	}
}

func (s suite) oddNames(t *testing.T) {
	s.Server.Create(t, Table{
		Name: "Tabla Rara", Columns: []Column{{"id", Int}, {"select", Text}, {"Año ñ", Text}},
		Rows: [][]any{{int64(1), "x", "y"}},
	})
	got := s.export(t, s.open(t), s.dataset("Tabla Rara", "id", "select", "Año ñ"))
	if want := "1,x,y\n"; string(got.csv) != want {
		t.Errorf("got %q, want %q", got.csv, want)
	}
}

func (s suite) allColumns(t *testing.T) {
	s.Server.Create(t, Table{
		Name: "todas", Columns: []Column{{"id", Int}, {"z", Text}, {"a", Text}},
		Rows: [][]any{{int64(1), "de z", "de a"}},
	})
	got := s.export(t, s.open(t), s.dataset("todas"))
	if want := "1,de z,de a\n"; string(got.csv) != want || !slices.Equal(names(got.Columns), []string{"id", "z", "a"}) {
		t.Errorf("got columns %v and %q, want all columns in the server's order: %q", names(got.Columns), got.csv, want)
	}
}

// Rows that are too few to be written tell of themselves: a slow query must not seem a silent one.
func (s suite) signsOfLife(t *testing.T) {
	table := Table{Name: "pocas", Columns: []Column{{"id", Int}}}
	for i := range 20 {
		table.Rows = append(table.Rows, []any{int64(i)})
	}
	s.Server.Create(t, table)
	got := s.export(t, s.open(t), s.dataset("pocas", "id"))
	want := len(table.Rows)
	if s.Collections || s.Batches {
		want = 1 // they come in one batch
	}
	if got.sink.early < want {
		t.Errorf("%d rows gave %d signs of life before they were written, want at least %d", len(table.Rows), got.sink.early, want)
	}
}

func (s suite) missingTable(t *testing.T) {
	session := s.open(t)
	_, err := session.Prepare(t.Context(), s.dataset("no_existe", "id"))
	s.refused(t, err, ingest.TableNotFound, false, "no_existe")
	if !s.Collections {
		_, err = session.Prepare(t.Context(), query("SELECT 1 AS a", "tampoco_existe"))
		s.refused(t, err, ingest.TableNotFound, false, "tampoco_existe")
	}
}

func (s suite) missingColumn(t *testing.T) {
	s.Server.Create(t, Table{Name: "parca", Columns: []Column{{"id", Int}}, Rows: [][]any{{int64(1)}}})
	session := s.open(t)
	_, err := session.Prepare(t.Context(), s.dataset("parca", "id", "apodo"))
	s.refused(t, err, ingest.ColumnNotFound, false, "apodo")

	_, err = session.Prepare(t.Context(), query("SELECT id AS otra FROM parca", "parca"))
	s.refused(t, err, ingest.ColumnNotFound, false, `"a"`)
}

func (s suite) query(t *testing.T) {
	s.Server.Create(t, Table{
		Name: "ventas", Columns: []Column{{"id", Int}, {"total", Float}},
		Rows: [][]any{{int64(1), 2.5}, {int64(2), nil}, {int64(3), 0.5}},
	})
	d := query("SELECT id AS b, total AS a, 'x' AS c FROM ventas ORDER BY id DESC", "ventas")
	d.Columns = append(d.Columns, catalog.Column{Name: "b"})
	got := s.export(t, s.open(t), d)
	if want := "0.5,3\n,2\n2.5,1\n"; string(got.csv) != want {
		t.Errorf("got %q, want %q: the catalog's columns in its order, the rows in the query's", got.csv, want)
	}
	_, err := s.open(t).Prepare(t.Context(), query("SELEKT 1 AS a"))
	s.refused(t, err, ingest.QueryFailed, false, "")
}

func (s suite) failingQuery(t *testing.T) {
	session := s.open(t)
	err := run(t.Context(), session, query(s.Failing), &collector{})
	s.refused(t, err, ingest.QueryFailed, false, "")
}

// goesOn checks that one dataset's failure does not fail the others of the same session.
func (s suite) goesOn(t *testing.T) {
	s.largeTable(t, "grande")
	s.Server.Create(t, Table{Name: "chica", Columns: []Column{{"id", Int}}, Rows: [][]any{{int64(7)}}})
	session := s.open(t)
	works := func(after string) {
		t.Helper()
		if got := s.export(t, session, s.dataset("chica", "id")); string(got.csv) != "7\n" {
			t.Errorf("after %s: got %q, want %q", after, got.csv, "7\n")
		}
	}

	_, err := session.Prepare(t.Context(), s.dataset("no_existe", "id"))
	s.refused(t, err, ingest.TableNotFound, false, "no_existe")
	works("a missing table")

	broken := errors.New("the storage is broken")
	err = run(t.Context(), session, s.dataset("grande", "id", "texto"), failing{broken})
	if err != broken { //nolint:errorlint // the very error, not one around it
		t.Errorf("Run returned %v, want the very error of the sink", err)
	}
	works("an error of the sink")

	if !s.Collections {
		_, err := session.Prepare(t.Context(), query("SELEKT 1 AS a"))
		s.refused(t, err, ingest.QueryFailed, false, "")
		works("a query that the server does not understand")
		s.refused(t, run(t.Context(), session, query(s.Failing), &collector{}), ingest.QueryFailed, false, "")
		works("a query that failed")
	}
}

func (s suite) snapshot(t *testing.T) {
	table := Table{Name: "cuentas", Columns: []Column{{"id", Int}}, Rows: [][]any{{int64(1)}}}
	other := Table{Name: "saldos", Columns: []Column{{"id", Int}}, Rows: [][]any{{int64(1)}}}
	s.Server.Create(t, table)
	s.Server.Create(t, other)
	before := time.Now()
	session := s.open(t)
	first := s.export(t, session, s.dataset("cuentas", "id"))
	s.Server.Insert(t, Table{Name: "saldos", Columns: other.Columns, Rows: [][]any{{int64(2)}}})
	second := s.export(t, session, s.dataset("saldos", "id"))

	if at := first.Snapshot.At; at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
		t.Errorf("the snapshot is said to be of %v, want the time of opening the session, about %v", at, before)
	}
	if first.Snapshot != second.Snapshot {
		if first.Snapshot.Consistent {
			t.Errorf("snapshots %+v and %+v of one session differ although they are consistent", first.Snapshot, second.Snapshot)
		}
		return
	}
	if want := "1\n"; first.Snapshot.Consistent && string(second.csv) != want {
		t.Errorf("got %q, want %q: a row written after the session began is not in its snapshot", second.csv, want)
	}
}

func (s suite) readOnly(t *testing.T) {
	session := s.open(t)
	err := run(t.Context(), session, query(s.Writing), &collector{})
	s.refused(t, err, ingest.QueryFailed, false, "")
}

func (s suite) forbidden(t *testing.T) {
	session := s.open(t)
	err := run(t.Context(), session, s.dataset(s.Forbidden, "id"), &collector{})
	s.refused(t, err, ingest.SourceDenied, false, "")
}

func (s suite) unreachable(t *testing.T) {
	source := s.Source(t, ClosedPort)
	s.refused(t, source.Ping(t.Context()), ingest.SourceUnavailable, true, "")
	_, err := source.Open(t.Context())
	s.refused(t, err, ingest.SourceUnavailable, true, "")
}

func (s suite) wrongPassword(t *testing.T) {
	source := s.Source(t, WrongPassword)
	s.refused(t, source.Ping(t.Context()), ingest.SourceDenied, false, "")
	_, err := source.Open(t.Context())
	s.refused(t, err, ingest.SourceDenied, false, "")
}

func (s suite) overBefore(t *testing.T) {
	s.Server.Create(t, Table{Name: "poca", Columns: []Column{{"id", Int}}, Rows: [][]any{{int64(1)}}})
	session := s.open(t)
	extraction, err := session.Prepare(t.Context(), s.dataset("poca", "id"))
	if err != nil {
		t.Fatalf("preparing: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := extraction.Run(over, &collector{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v, want the context's error", err)
	}
	if _, err := session.Prepare(over, s.dataset("poca", "id")); !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare returned %v, want the context's error", err)
	}
	source := s.Source(t, Granted)
	if _, err := source.Open(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Open returned %v, want the context's error", err)
	}
	if err := source.Ping(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Ping returned %v, want the context's error", err)
	}
}

func (s suite) closes(t *testing.T) {
	source := s.Source(t, Granted)
	if err := source.Ping(t.Context()); err != nil {
		t.Fatalf("Ping: %v", err)
	}
	session, err := source.Open(t.Context())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	s.awaitNoSessions(t)
}

func (s suite) cancelledEarly(t *testing.T) {
	session := s.openUnclosed(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, session, query(s.Slow), &collector{}) }()
	s.await(t, patience, "the server to run the query", func() bool {
		_, running := s.Server.Sessions(t)
		return running == 1
	})
	s.cancelled(t, session, cancel, ended)
}

func (s suite) large(t *testing.T) {
	s.largeTable(t, "grande")
	t.Run("every row", s.largeComplete)
	t.Run("cancelled", s.largeCancelled)
	t.Run("job cancelled while S3 stalls", s.jobInStalledUpload)
	t.Run("killed", s.largeKilled)
}

func (s suite) largeComplete(t *testing.T) {
	got := s.export(t, s.open(t), s.dataset("grande", "id", "texto"))
	records, err := ReadCSV(got.csv)
	if err != nil {
		t.Fatalf("reading the file: %v", err)
	}
	if len(records) != s.Rows {
		t.Fatalf("the file has %d records, want %d", len(records), s.Rows)
	}
	slices.SortFunc(records, byID)
	for i, r := range records {
		if want := (Field{Text: s.longText(i)}); len(r) != 2 || id(r) != int64(i) || r[1] != want {
			t.Fatalf("record %d is %.300v, want %d and %.200v", i, r, i, want)
		}
	}
	if got.sink.calls > s.Rows/10 {
		t.Errorf("AddRows was called %d times for %d rows, want it now and then", got.sink.calls, s.Rows)
	}
}

func (s suite) largeCancelled(t *testing.T) {
	session := s.openUnclosed(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	entered, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- run(ctx, session, s.dataset("grande", "id", "texto"), &stalled{until: ctx.Done(), entered: entered})
	}()
	select {
	case <-entered:
	case err := <-ended:
		t.Fatalf("Run ended before it wrote anything: %v", err)
	}
	s.cancelled(t, session, cancel, ended)
}

func (s suite) largeKilled(t *testing.T) {
	session := s.openUnclosed(t)
	entered, killed, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- run(t.Context(), session, s.dataset("grande", "id", "texto"), &stalled{until: killed, entered: entered})
	}()
	<-entered
	s.Server.Kill(t)
	close(killed)
	s.refused(t, <-ended, ingest.SourceUnavailable, true, "")
	_, err := session.Prepare(t.Context(), s.dataset("grande", "id"))
	s.refused(t, err, ingest.SourceUnavailable, true, "")
	closePromptly(t, session)
}

// cancelled cancels a running extraction and checks that it ends, on the server too.
func (s suite) cancelled(t *testing.T, session engine.Session, cancel context.CancelFunc, ended <-chan error) {
	t.Helper()
	start := time.Now()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v, want the context's error", err)
		}
	case <-time.After(prompt):
		t.Fatalf("Run did not return within %v of being cancelled", prompt)
	}
	s.await(t, prompt-time.Since(start), "the server to stop the query", func() bool {
		_, running := s.Server.Sessions(t)
		return running == 0
	})
	t.Logf("stopped, on the server too, %v after being cancelled", time.Since(start).Round(time.Millisecond))
	closePromptly(t, session)
	s.awaitNoSessions(t)
}

// largeTable creates the large table.
func (s suite) largeTable(t *testing.T, name string) {
	t.Helper()
	table := Table{Name: name, Columns: []Column{{"id", Int}, {"texto", Text}}, Rows: make([][]any, s.Rows)}
	for i := range table.Rows {
		table.Rows[i] = []any{int64(i), s.longText(i)}
	}
	s.Server.Create(t, table)
}

// longText returns the text of a row of the large table.
func (s suite) longText(i int) string {
	prefix := fmt.Sprintf("fila %d, \"única\" ", i)
	return prefix + strings.Repeat("x", max(0, bulk/s.Rows-len(prefix)))
}

// open opens a session and closes it when the test ends.
func (s suite) open(t *testing.T) engine.Session {
	t.Helper()
	session := s.openUnclosed(t)
	t.Cleanup(func() { closePromptly(t, session) })
	return session
}

func (s suite) openUnclosed(t *testing.T) engine.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	session, err := s.Source(t, Granted).Open(ctx)
	if err != nil {
		t.Fatalf("opening a session: %v", err)
	}
	return session
}

// closePromptly closes the session: also after an error it must neither fail nor hang.
func closePromptly(t *testing.T, session engine.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), prompt)
	defer cancel()
	start := time.Now()
	if err := session.Close(ctx); err != nil {
		t.Errorf("closing the session: %v", err)
	}
	if took := time.Since(start); took > prompt {
		t.Errorf("closing the session took %v, want less than %v", took, prompt)
	}
}

// exported is what an extraction left behind.
type exported struct {
	engine.Extraction
	csv   []byte
	sink  *collector
	tally engine.Tally
}

// export reads a dataset to its end and checks what holds for every one.
func (s suite) export(t *testing.T, session engine.Session, d catalog.Dataset) exported {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	extraction, err := session.Prepare(ctx, d)
	if err != nil {
		t.Fatalf("preparing %s: %v", d.Name, err)
	}
	sink := new(collector)
	tally, err := extraction.Run(ctx, sink)
	if err != nil {
		t.Fatalf("extracting %s: %v", d.Name, err)
	}
	if sink.rows != tally.Rows {
		t.Errorf("%s: AddRows was told of %d rows, the tally says %d", d.Name, sink.rows, tally.Rows)
	}
	return exported{Extraction: extraction, csv: sink.Bytes(), sink: sink, tally: tally}
}

// run prepares and runs a dataset and returns the error of either.
func run(ctx context.Context, session engine.Session, d catalog.Dataset, sink engine.Sink) error {
	extraction, err := session.Prepare(ctx, d)
	if err != nil {
		return err
	}
	_, err = extraction.Run(ctx, sink)
	return err
}

// compare checks the records of an export, which may come in any order, against want, which is
// sorted by the first column.
func (s suite) compare(t *testing.T, got exported, want [][]Field) {
	t.Helper()
	records, err := ReadCSV(got.csv)
	if err != nil {
		t.Fatalf("reading the file: %v", err)
	}
	if got.tally.Rows != int64(len(records)) {
		t.Errorf("the tally says %d rows, the file has %d", got.tally.Rows, len(records))
	}
	if len(records) != len(want) {
		t.Fatalf("the file has %d records, want %d", len(records), len(want))
	}
	slices.SortFunc(records, byID)
	for i := range want {
		if !slices.Equal(records[i], want[i]) {
			t.Errorf("record %d is %.500v, want %.500v", i, records[i], want[i])
		}
	}
}

// refused checks that err is a failure of the code, and shows no secret.
func (s suite) refused(t *testing.T, err error, code ingest.Code, transient bool, naming string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %s", code)
		return
	}
	failure, ok := errors.AsType[*ingest.Error](err)
	if !ok {
		t.Errorf("the error is %v, want an *ingest.Error of code %s", err, code)
		return
	}
	if failure.Code != code || failure.Transient != transient {
		t.Errorf("the error is %v (transient: %t), want code %s (transient: %t)", err, failure.Transient, code, transient)
	}
	if !strings.Contains(failure.Message, naming) {
		t.Errorf("the message %q does not name %s", failure.Message, naming)
	}
	if s.Secret != "" && strings.Contains(err.Error(), s.Secret) {
		t.Errorf("the error shows the password: %v", err)
	}
	for _, leak := range []string{"SELECT", "SELEKT", "127.0.0.1", "localhost"} {
		if strings.Contains(failure.Message, leak) {
			t.Errorf("the message %q shows %s", failure.Message, leak)
		}
	}
}

func (s suite) awaitNoSessions(t *testing.T) {
	t.Helper()
	s.await(t, prompt, "the server to have no session left", func() bool {
		open, _ := s.Server.Sessions(t)
		return open == 0
	})
}

// await asks again and again until the condition holds.
func (s suite) await(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

func names(columns []ingest.Column) []string {
	var all []string
	for _, c := range columns {
		all = append(all, c.Name)
	}
	return all
}

// text returns a record without NULLs.
func text(values ...string) []Field {
	record := make([]Field, len(values))
	for i, v := range values {
		record[i] = Field{Text: v}
	}
	return record
}

// byID orders records by their first column, a whole number.
func byID(a, b []Field) int { return int(id(a) - id(b)) }

func id(record []Field) int64 {
	n, err := strconv.ParseInt(record[0].Text, 10, 64)
	if err != nil {
		return -1 // the comparison that follows will say what is wrong
	}
	return n
}
