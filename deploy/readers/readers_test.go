package readers

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // the driver duckdb

	"github.com/pharmavida/ingesta/workers/extracttest"
)

// reader reads records of so many columns, without knowledge of a header.
type reader struct {
	name  string
	nulls bool // tells NULL from the empty string
	read  func(t *testing.T, file []byte, columns int) [][]extracttest.Field
}

// others are the readers that are not ours.
var others = []reader{
	{"PostgreSQL", true, extracttest.Reload},
	{"Python", false, readPython},
	{"DuckDB", true, readDuckDB},
}

// agree reads the file with our strict reader and all others, and returns what they agree on.
func agree(t *testing.T, file []byte, columns int) [][]extracttest.Field {
	t.Helper()
	want, err := extracttest.ReadCSV(file)
	if err != nil {
		t.Fatalf("the file is not of the dialect: %v", err)
	}
	for _, other := range others {
		got := other.read(t, file, columns)
		if len(got) != len(want) {
			t.Errorf("%s sees %d records, want %d", other.name, len(got), len(want))
			continue
		}
		for i := range want {
			if g, w := other.view(got[i]), other.view(want[i]); g != w {
				t.Errorf("record %d: %s sees %s, want %s", i, other.name, g, w)
			}
		}
	}
	return want
}

// view spells a record as far as the reader can tell its fields apart.
func (r reader) view(record []extracttest.Field) string {
	var b strings.Builder
	for _, f := range record {
		if f.Null && r.nulls {
			b.WriteString("NULL ")
		} else {
			fmt.Fprintf(&b, "%q ", f.Text)
		}
	}
	return b.String()
}

// readPython reads with the csv module of Python's standard library, as most scripts do.
func readPython(t *testing.T, file []byte, _ int) [][]extracttest.Field {
	t.Helper()
	const script = `
import csv, io, json, sys
csv.field_size_limit(1 << 30)
text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline="")
for record in csv.reader(text):
    print(json.dumps(record))
`
	var problems bytes.Buffer
	python := exec.CommandContext(t.Context(), "python3", "-I", "-c", script)
	python.Stdin, python.Stderr = bytes.NewReader(file), &problems
	out, err := python.Output()
	if err != nil {
		t.Fatalf("reading with Python: %v\n%s", err, &problems)
	}
	var records [][]extracttest.Field
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var record []string
		if err := dec.Decode(&record); errors.Is(err, io.EOF) {
			return records
		} else if err != nil {
			t.Fatal(err)
		}
		fields := make([]extracttest.Field, len(record))
		for i, text := range record {
			fields[i].Text = text
		}
		records = append(records, fields)
	}
}

// readDuckDB reads with DuckDB, every column as text.
func readDuckDB(t *testing.T, file []byte, columns int) [][]extracttest.Field {
	t.Helper()
	types := make([]string, columns)
	list := make([]string, columns)
	for i := range types {
		types[i] = fmt.Sprintf("'c%d': 'VARCHAR'", i)
		list[i] = fmt.Sprintf("c%d", i)
	}
	return query(t, "SELECT "+strings.Join(list, ", ")+" FROM "+scan(t, file, strings.Join(types, ", "), false), columns)
}

// scan returns the table function that reads a file with columns of the given types, in order.
func scan(t *testing.T, file []byte, types string, header bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.csv")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`read_csv('%s', columns = {%s}, header = %v, auto_detect = false, delim = ',', quote = '"', escape = '"',
		new_line = '\n', nullstr = '', allow_quoted_nulls = false, parallel = false, max_line_size = 16777216)`, path, types, header)
}

// query runs a query whose columns are text in an empty DuckDB.
func query(t *testing.T, statement string, columns int) (records [][]extracttest.Field) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatalf("DuckDB: %v in\n%s", err, statement)
	}
	defer rows.Close()
	values, into := make([]sql.NullString, columns), make([]any, columns)
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		record := make([]extracttest.Field, columns)
		for i, v := range values {
			record[i] = extracttest.Field{Null: !v.Valid, Text: v.String}
		}
		records = append(records, record)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("DuckDB: %v in\n%s", err, statement)
	}
	return records
}
