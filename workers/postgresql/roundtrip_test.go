package postgresql

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

var (
	seed   = flag.Uint64("seed", 0, "of the random tables; 0: any")
	tables = flag.Int("tables", 20, "random tables to make")
)

// TestRoundTrip exports random tables, has PostgreSQL load the files, and compares what it loaded with
// what the tables hold: text with the source's own spelling of each value, documents by making the
// values again from them. The bytes, too, are those that COPY writes.
func TestRoundTrip(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	t.Logf("-seed %d", first)
	r := rand.New(rand.NewPCG(first, 0))
	s := newServer(t)
	for _, statement := range randomTypes() {
		must(t, s.admin, statement)
	}
	must(t, s.admin, `CREATE SCHEMA "Otro Esquema"`)
	must(t, s.admin, fmt.Sprintf(`GRANT USAGE ON SCHEMA "Otro Esquema" TO %s; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO %s`, s.reader, s.reader))
	must(t, s.admin, "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET synchronize_seqscans = off")
	for range *tables {
		made := randomTable(t, s, r)
		made.check(t, s, r)
		if t.Failed() {
			t.Fatalf("the table is %s: %v", made.name, made.columns)
		}
		must(t, s.admin, "DROP TABLE "+quoteTable(made.name))
	}
}

// table is a random table.
type table struct {
	name    string
	columns []column // the first one is a unique number
	kinds   []kind
}

// randomTable makes a table with random columns and rows.
func randomTable(t *testing.T, s *server, r *rand.Rand) *table {
	t.Helper()
	all := randomKinds()
	names := []string{
		"nombre", "Nombre", "select", "año ñ", `con "comillas"`, "con.punto", "con,coma", "$1", "%s", "'", `\`, "; DROP TABLE x; --", "user", "to_json", "text",
		"ctid ", "oid", "numeric", "a\nb", "💊", "xmin_", "dataset", strings.Repeat("ñ", 31),
	}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	made := &table{
		name:    []string{"tabla", "Tabla Rara", `la "tabla"`, "Otro Esquema.tabla", "select"}[r.IntN(5)],
		columns: []column{{name: "id"}}, kinds: []kind{{"bigint", nil, output, ""}},
	}
	for i := range 1 + r.IntN(10) {
		made.columns = append(made.columns, column{name: names[i]})
		made.kinds = append(made.kinds, all[r.IntN(len(all))])
	}
	definitions := make([]string, len(made.columns))
	for i, c := range made.columns {
		definitions[i] = quoteColumn(c.name) + " " + made.kinds[i].columnType
	}
	must(t, s.admin, "CREATE TABLE "+quoteTable(made.name)+" ("+strings.Join(definitions, ", ")+")")
	var rows []string
	for id := range r.IntN(400) {
		values := []string{fmt.Sprint(id)}
		for _, k := range made.kinds[1:] {
			if r.IntN(6) == 0 {
				values = append(values, "NULL")
			} else {
				values = append(values, k.value(r))
			}
		}
		// One by one: in a list of rows the server would look for types that fit all of them.
		rows = append(rows, "INSERT INTO "+quoteTable(made.name)+" VALUES ("+strings.Join(values, ", ")+")")
	}
	must(t, s.admin, strings.Join(rows, "; "))
	return made
}

// check exports the table and compares.
func (m *table) check(t *testing.T, s *server, r *rand.Rand) {
	t.Helper()
	d := catalog.Dataset{Name: "tabla", Table: m.name}
	chosen := make([]int, len(m.columns)) // of the columns
	for i := range chosen {
		chosen[i] = i
	}
	if r.IntN(2) == 0 {
		r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:1+r.IntN(len(chosen))]
		if !slices.Contains(chosen, 0) {
			chosen[0] = 0
		}
		for _, i := range chosen {
			d.Columns = append(d.Columns, catalog.Column{Name: m.columns[i].name})
		}
	}
	condition, order := "true", ""
	if r.IntN(3) == 0 {
		condition = fmt.Sprintf("id %% 5 <> %d", r.IntN(5))
		d.Where = condition
	}
	if r.IntN(3) == 0 {
		order = " ORDER BY id DESC"
		d.OrderBy = []catalog.Order{{Column: "id", Descending: true}}
	}
	source := s.in(t, []func(*Source){alone, cutSmall}[r.IntN(2)])
	session, err := source.Open(t.Context())
	if err != nil {
		t.Fatalf("opening a session: %v", err)
	}
	defer func() { _ = session.Close(context.Background()) }() // it keeps the table from being dropped
	extraction, err := session.Prepare(t.Context(), d)
	if err != nil {
		t.Fatalf("preparing: %v", err)
	}
	var out file
	tally, err := extraction.Run(t.Context(), &out)
	if err != nil {
		t.Fatalf("running: %v", err)
	}

	loaded := extracttest.Reload(t, out.Bytes(), len(chosen))
	if int64(len(loaded)) != tally.Rows || out.rows != tally.Rows {
		t.Errorf("the file has %d rows, the tally says %d, the progress %d", len(loaded), tally.Rows, out.rows)
	}
	m.sameValues(t, s, chosen, loaded, condition)
	m.sameBytes(t, s, chosen, out.Bytes(), " WHERE "+condition+order)
}

// sameValues puts what was loaded from the file beside the table and compares.
func (m *table) sameValues(t *testing.T, s *server, chosen []int, loaded [][]extracttest.Field, condition string) {
	t.Helper()
	names, id := make([]string, len(chosen)), 0
	for at, i := range chosen {
		names[at] = fmt.Sprintf("f%d", i)
		if i == 0 {
			id = at
		}
	}
	must(t, s.admin, "CREATE TEMPORARY TABLE vuelta ("+strings.Join(names, " text, ")+" text)")
	defer must(t, s.admin, "DROP TABLE vuelta")
	rows := make([][]any, len(loaded))
	for n, record := range loaded {
		for _, f := range record {
			if f.Null {
				rows[n] = append(rows[n], nil)
			} else {
				rows[n] = append(rows[n], f.Text)
			}
		}
	}
	if _, err := s.admin.CopyFrom(t.Context(), pgx.Identifier{"vuelta"}, names, pgx.CopyFromRows(rows)); err != nil {
		t.Fatal(err)
	}
	from := fmt.Sprintf(" FROM (SELECT * FROM %s WHERE %s) o FULL JOIN vuelta v ON v.%s = o.id::text ", quoteTable(m.name), condition, names[id])
	var lost int
	if err := s.admin.QueryRow(t.Context(), "SELECT count(*)"+from+"WHERE v.f0 IS NULL OR o.id IS NULL", pgx.QueryExecModeExec).Scan(&lost); err != nil || lost > 0 {
		t.Errorf("%d rows are in the table or in the file only (%v)", lost, err)
	}
	for at, i := range chosen {
		k, of, in := m.kinds[i], "o."+quoteColumn(m.columns[i].name), "v."+names[at]
		same := fmt.Sprintf(k.same, of, in)
		shown := "format('%s', " + of + ")"
		if k.canonical != "" {
			shown = fmt.Sprintf(k.canonical, of)
			same = in + " = " + shown
		}
		// Not IS NULL, which is true also of a composite value of NULLs.
		query := "SELECT " + shown + ", " + in + from + fmt.Sprintf("WHERE CASE num_nulls(%[1]s) WHEN 1 THEN %[2]s IS NULL ELSE (%[3]s) END IS NOT TRUE LIMIT 1", of, in, same)
		found, err := s.admin.Query(t.Context(), query, pgx.QueryExecModeExec)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		wrong, err := pgx.CollectRows(found, pgx.RowToStructByPos[struct{ Want, Got *string }])
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		for _, w := range wrong {
			t.Errorf("column %q of type %s: the file has %s, the table %s", m.columns[i].name, k.columnType, quote(w.Got), quote(w.Want))
		}
		if k.canonical == "" {
			m.compact(t, s, i, at, id, loaded)
		}
	}
}

// compact checks that documents have no needless space, and that those that the table has as documents
// are in the file token for token.
func (m *table) compact(t *testing.T, s *server, column, at, id int, loaded [][]extracttest.Field) {
	t.Helper()
	stored := map[string]string{}
	if k := m.kinds[column].columnType; k == "json" || k == "jsonb" {
		rows, err := s.admin.Query(t.Context(), fmt.Sprintf("SELECT id::text, coalesce(%s::text, '') FROM %s", quoteColumn(m.columns[column].name), quoteTable(m.name)), pgx.QueryExecModeExec)
		if err != nil {
			t.Fatal(err)
		}
		var id, document string
		if _, err := pgx.ForEachRow(rows, []any{&id, &document}, func() error { stored[id] = document; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, record := range loaded {
		if record[at].Null {
			continue
		}
		got := record[at].Text
		want, ok := stored[record[id].Text]
		if !ok {
			want = got
		}
		var tokens bytes.Buffer
		if err := json.Compact(&tokens, []byte(want)); err != nil || tokens.String() != got {
			t.Errorf("column %q: the file has %q, want %q (%v)", m.columns[column].name, got, tokens.String(), err)
		}
	}
}

// sameBytes compares the file with what COPY writes, where no column is a document.
func (m *table) sameBytes(t *testing.T, s *server, chosen []int, csv []byte, rest string) {
	t.Helper()
	var list []string
	for _, i := range chosen {
		k, name := m.kinds[i], quoteColumn(m.columns[i].name)
		switch {
		case k.canonical == "":
			return
		case strings.Contains(k.columnType, "money"), strings.Contains(k.columnType, "boolean"):
			list = append(list, fmt.Sprintf("CASE WHEN %s IS NOT NULL THEN "+k.canonical+" END", name, name))
		default:
			list = append(list, name)
		}
	}
	var want bytes.Buffer
	if _, err := s.admin.PgConn().CopyTo(t.Context(), &want, "COPY (SELECT "+strings.Join(list, ", ")+" FROM "+quoteTable(m.name)+rest+") TO STDOUT WITH (FORMAT csv)"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(csv, want.Bytes()) {
		t.Errorf("the file is not, byte for byte, what COPY writes:\n%.2000q\nwant\n%.2000q", csv, want.Bytes())
	}
}

func quote(text *string) string {
	if text == nil {
		return "NULL"
	}
	return fmt.Sprintf("%q", *text)
}
