package readers

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/lake"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

// copied is a bucket of which a folder has a copy, and a DuckDB that has the views of its datasets.
type copied struct {
	bucket, folder string
	db             *sql.DB
}

func newCopy(t *testing.T, bucket string) *copied {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &copied{bucket: bucket, folder: t.TempDir(), db: db}
}

// put copies an object.
func (c *copied) put(t *testing.T, key string, content []byte) {
	t.Helper()
	path := filepath.Join(c.folder, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// view runs the statements for a dataset as the gateway hands them out, but for the lake's address.
func (c *copied) view(t *testing.T, source lake.Source) {
	t.Helper()
	statements, err := lake.Statement(lake.DuckDB, source)
	if err != nil {
		t.Fatal(err)
	}
	local := strings.ReplaceAll(statements, "s3://"+c.bucket, c.folder)
	if _, err := c.db.ExecContext(t.Context(), local); err != nil {
		t.Fatalf("DuckDB refuses the statements: %v in\n%s", err, local)
	}
}

// rows returns what a query gives, each row as texts between bars.
func (c *copied) rows(t *testing.T, statement string) (rows []string) {
	t.Helper()
	got, err := c.db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatalf("DuckDB: %v in\n%s", err, statement)
	}
	defer got.Close()
	names, err := got.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for got.Next() {
		if err := got.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fields := make([]string, len(values))
		for i, v := range values {
			fields[i] = "NULL"
			if v.Valid {
				fields[i] = "'" + v.String + "'"
			}
		}
		rows = append(rows, strings.Join(fields, "|"))
	}
	if err := got.Err(); err != nil {
		t.Fatalf("DuckDB: %v in\n%s", err, statement)
	}
	return rows
}

// shows reports a view that shows other rows than those wanted.
func (c *copied) shows(t *testing.T, statement string, want ...string) {
	t.Helper()
	if got := c.rows(t, statement); !slices.Equal(got, want) {
		t.Errorf("%s gives\n%s\nwant\n%s", statement, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The views of real exports have the values of their files, with types.
func TestStatementsOfJobs(t *testing.T) {
	datasets, err := catalog.Load("")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{
		ingest.TypeText: "VARCHAR", ingest.TypeObjectID: "VARCHAR", ingest.TypeInteger: "BIGINT", ingest.TypeFloat: "DOUBLE", ingest.TypeBoolean: "BOOLEAN",
		ingest.TypeTimestamp: "TIMESTAMP", ingest.TypeInstant: "TIMESTAMP WITH TIME ZONE", ingest.TypeJSON: "JSON",
	}
	for _, db := range datasets.Databases() {
		job := run(t, db.Name)
		for _, r := range job.Results {
			t.Run(string(db.Name)+"."+r.Dataset, func(t *testing.T) {
				c := newCopy(t, stacktest.Env(t, "AWS_BUCKET_NAME"))
				dataset, _ := db.Dataset(r.Dataset)
				file := fetch(t, r)
				c.put(t, r.Key, file)
				c.view(t, lake.Source{Database: db.Name, Dataset: dataset, Export: r, Template: ingest.DefaultKeyTemplate})

				view := `"` + string(db.Name) + `"."` + r.Dataset + `"`
				var described []string
				spelled := make([]string, len(r.Columns))
				for i, column := range r.Columns {
					described = append(described, "'"+column.Name+"'|'"+types[column.Type]+"'")
					spelled[i] = `"` + column.Name + `"::VARCHAR`
					if column.Type == ingest.TypeInstant {
						name := `"` + column.Name + `" AT TIME ZONE 'UTC'`
						spelled[i] = "strftime(" + name + ", '%Y-%m-%d %H:%M:%S') || rtrim(rtrim(strftime(" + name + ", '.%f'), '0'), '.') || '+00'"
					}
				}
				c.shows(t, "SELECT column_name, column_type FROM (DESCRIBE "+view+")", described...)

				_, body, _ := strings.Cut(string(file), "\n")
				records, err := extracttest.ReadCSV([]byte(body))
				if err != nil {
					t.Fatal(err)
				}
				want := make([]string, len(records))
				for i, record := range records {
					fields := make([]string, len(record))
					for j, field := range record {
						fields[j] = "NULL"
						if !field.Null {
							fields[j] = "'" + field.Text + "'"
							if r.Columns[j].Type == ingest.TypeFloat {
								fields[j] = "'" + number(field.Text) + "'"
							}
						}
					}
					want[i] = strings.Join(fields, "|")
				}
				got := c.rows(t, "SELECT "+strings.Join(spelled, ", ")+" FROM "+view)
				if len(got) != len(want) || int64(len(got)) != r.Rows {
					t.Fatalf("the view has %d rows, the file %d, and registros is %d", len(got), len(want), r.Rows)
				}
				for i := range got {
					if fields := strings.Split(got[i], "|"); len(fields) == len(r.Columns) {
						for j, column := range r.Columns {
							if column.Type == ingest.TypeFloat && fields[j] != "NULL" {
								fields[j] = "'" + number(strings.Trim(fields[j], "'")) + "'"
							}
						}
						got[i] = strings.Join(fields, "|")
					}
					if got[i] != want[i] {
						t.Fatalf("row %d of the view is\n%s\nwant, as in the file,\n%s", i, got[i], want[i])
					}
				}
			})
		}
	}
}

// source is a dataset of one column of text and a number, last exported at the given key.
func source(dataset, key string) lake.Source {
	return lake.Source{
		Database: ingest.MySQL, Dataset: catalog.Dataset{Name: dataset, Object: dataset}, Template: ingest.DefaultKeyTemplate,
		Export: ingest.Result{State: ingest.Done, URL: "s3://lake/" + key, Columns: []ingest.Column{
			{Name: "id", Type: ingest.TypeInteger, SourceType: "int"}, {Name: "nombre", Type: ingest.TypeText, SourceType: "text"},
		}},
	}
}

// A view follows its dataset: it shows the newest export, and no other dataset's.
func TestViewsShowTheNewestExport(t *testing.T) {
	c := newCopy(t, "lake")
	export := func(key, rows string) { c.put(t, "mysql/"+key, []byte("id,nombre\n"+rows)) }
	c.put(t, "mysql/users_20240101_000000.csv", []byte("id,nombre,of_other_columns\n1,old,x\n"))
	export("users_20250102_153045.csv", "1,first\n")
	export("users_extra_20250102_153045.csv", "1,extra\n")
	export("users_20250102_153045_20250103_000000.csv", "1,of a dataset with a strange name\n")
	export("users_20260101_000000_copy.csv", "1,of nobody\n")
	export("users_20260101_000000.csv.bak", "1,of nobody\n")
	c.put(t, "mysql/_manifests/users_20260101_000000.json", []byte("{}"))
	c.view(t, source("users", "mysql/users_20250102_153045.csv"))
	c.view(t, source("users_extra", "mysql/users_extra_20250102_153045.csv"))
	users := `SELECT * FROM "mysql"."users"`
	c.shows(t, users, "'1'|'first'")
	for _, key := range []string{"users_20250102_153045_2.csv", "users_20250102_153045_9.csv", "users_20250102_153045_10.csv", "users_20250102_153046.csv"} {
		export(key, "2,"+key+"\n")
		c.shows(t, users, "'2'|'"+key+"'")
	}
	export("users_20250102_153046_2.csv", "")
	c.shows(t, users)
	export("users_20250102_153045_11.csv", "3,late\n") // of a job that was accepted before
	c.shows(t, users)
	c.shows(t, `SELECT * FROM "mysql"."users_extra"`, "'1'|'extra'")

	if err := os.Remove(filepath.Join(c.folder, "mysql", "users_20250102_153046_2.csv")); err != nil {
		t.Fatal(err)
	}
	c.shows(t, users, "'2'|'users_20250102_153046.csv'")
}

// Every type keeps what DuckDB can hold of it.
func TestViewsHoldValues(t *testing.T) {
	for _, tt := range []struct {
		fileType, source, written, duckType, shown string
	}{
		{ingest.TypeText, "text", ``, "VARCHAR", "NULL"},
		{ingest.TypeText, "text", `""`, "VARCHAR", "''"},
		{ingest.TypeText, "text", `NULL`, "VARCHAR", "'NULL'"},
		{ingest.TypeText, "text", `a\b`, "VARCHAR", `'a\b'`},
		{ingest.TypeText, "text", "\"two\r\nlines, \"\"quoted\"\"\"", "VARCHAR", "'two\r\nlines, \"quoted\"'"},
		{ingest.TypeInteger, "bigint(20)", "-9223372036854775808", "BIGINT", "'-9223372036854775808'"},
		{ingest.TypeInteger, "bigint(20) unsigned", "18446744073709551615", "HUGEINT", "'18446744073709551615'"},
		{ingest.TypeInteger, "bigint(20)", "", "BIGINT", "NULL"},
		{ingest.TypeDecimal, "numeric(38,2)", "123456789012345678901234567890123456.78", "DECIMAL(38,2)", "'123456789012345678901234567890123456.78'"},
		{ingest.TypeDecimal, "numeric(10,2)", "NaN", "DECIMAL(10,2)", "NULL"},
		{ingest.TypeDecimal, "numeric", "Infinity", "VARCHAR", "'Infinity'"},
		{ingest.TypeDecimal, "decimal", "1E+3", "VARCHAR", "'1E+3'"},
		{ingest.TypeFloat, "double", "-0", "DOUBLE", "'-0.0'"},
		{ingest.TypeFloat, "double", "NaN", "DOUBLE", "'nan'"},
		{ingest.TypeFloat, "double", "-Infinity", "DOUBLE", "'-inf'"},
		{ingest.TypeFloat, "double", "5e-324", "DOUBLE", "'5e-324'"},
		{ingest.TypeBoolean, "boolean", "true", "BOOLEAN", "'true'"},
		{ingest.TypeBoolean, "tinyint(1)", "false", "BOOLEAN", "'false'"},
		{ingest.TypeBoolean, "tinyint(1)", "7", "BOOLEAN", "NULL"},
		{ingest.TypeDate, "date", "2024-02-29", "DATE", "'2024-02-29'"},
		{ingest.TypeDate, "date", "0044-03-15 BC", "DATE", "'0044-03-15 (BC)'"},
		{ingest.TypeDate, "date", "-infinity", "DATE", "'-infinity'"},
		{ingest.TypeDate, "date", "5874897-12-31", "DATE", "'5874897-12-31'"},
		{ingest.TypeTimestamp, "datetime", "2025-01-02 03:04:05.120001", "TIMESTAMP", "'2025-01-02 03:04:05.120001'"},
		{ingest.TypeTimestamp, "timestamp without time zone", "0044-03-15 12:30:00.5 BC", "TIMESTAMP", "'0044-03-15 (BC) 12:30:00.5'"},
		{ingest.TypeTimestamp, "timestamp without time zone", "infinity", "TIMESTAMP", "'infinity'"},
		{ingest.TypeInstant, "timestamp with time zone", "2025-01-02 03:04:05.120001+00", "TIMESTAMP WITH TIME ZONE", "'2025-01-02 03:04:05.120001+00'"},
		{ingest.TypeInstant, "date", "0044-03-15 12:30:00+00 BC", "TIMESTAMP WITH TIME ZONE", "'0044-03-15 (BC) 12:30:00+00'"},
		{ingest.TypeTime, "time", "-838:59:59.000001", "INTERVAL", "'-838:59:59.000001'"},
		{ingest.TypeTime, "time(6)", "12:00:00", "INTERVAL", "'12:00:00'"},
		{ingest.TypeTime, "time without time zone", "24:00:00", "TIME", "'24:00:00'"},
		{ingest.TypeTime, "time(3) with time zone", "12:00:00.5-05", "TIME WITH TIME ZONE", "'12:00:00.5-05'"},
		{ingest.TypeInterval, "interval", "P1Y2M-3DT4H5M6.7S", "VARCHAR", "'P1Y2M-3DT4H5M6.7S'"},
		{ingest.TypeUUID, "uuid", "deadbeef-0000-0000-0000-000000000001", "UUID", "'deadbeef-0000-0000-0000-000000000001'"},
		{ingest.TypeObjectID, "objectId", "507f1f77bcf86cd799439011", "VARCHAR", "'507f1f77bcf86cd799439011'"},
		{ingest.TypeBits, "bit varying", `""`, "VARCHAR", "''"},
		{ingest.TypeBinary, "bytea", `\x00ff41`, "BLOB", `'\x00\xFFA'`},
		{ingest.TypeBinary, "bytea", `\x`, "BLOB", "''"},
		{ingest.TypeBinary, "bytea", ``, "BLOB", "NULL"},
		{ingest.TypeJSON, "json", `"{""a"":[1e400,""x"",null]}"`, "JSON", `'{"a":[1e400,"x",null]}'`},
	} {
		t.Run(tt.fileType+" "+tt.written, func(t *testing.T) {
			c := newCopy(t, "lake")
			if _, err := c.db.ExecContext(t.Context(), "SET GLOBAL TimeZone = 'UTC'"); err != nil {
				t.Fatal(err)
			}
			s := source("tipos", "mysql/tipos_20250102_153045.csv")
			s.Export.Columns[1] = ingest.Column{Name: "valor", Type: tt.fileType, SourceType: tt.source}
			c.put(t, "mysql/tipos_20250102_153045.csv", []byte("id,valor\n1,"+tt.written+"\n"))
			c.view(t, s)
			c.shows(t, `SELECT id::VARCHAR, valor::VARCHAR, typeof(valor) FROM "mysql".tipos`, "'1'|"+tt.shown+"|'"+tt.duckType+"'")
		})
	}
}

// Columns of any name are read, and a file of one column with rows that are empty lines.
func TestViewsOfHostileNames(t *testing.T) {
	names := []string{`a"b`, "it's", "two\nlines; --", "día", "100% %s", "select", "Filename", "filename", "ID", "id", "id_2", "export"}
	c := newCopy(t, "lake")
	s := source("wild", "mysql/wild_20250102_153045.csv")
	s.Dataset.Name, s.Export.Columns = `Wild "x"; --`, nil
	var want, values []string
	for i, name := range names {
		s.Export.Columns = append(s.Export.Columns, ingest.Column{Name: name, Type: ingest.TypeText, SourceType: "text"})
		values = append(values, string(rune('a'+i)))
		want = append(want, "'"+string(rune('a'+i))+"'")
	}
	c.put(t, "mysql/wild_20250102_153045.csv", []byte(strings.Repeat("h,", len(names)-1)+"h\n"+strings.Join(values, ",")+"\n"))
	c.view(t, s)
	c.shows(t, `SELECT * FROM "mysql"."Wild ""x""; --"`, strings.Join(want, "|"))
	c.shows(t, `SELECT "a""b", "filename_2", "id_2", "id_3" FROM "mysql"."Wild ""x""; --"`, "'a'|'h'|'k'|'j'")

	s = source("uno", "mysql/uno_20250102_153045.csv")
	s.Export.Columns = s.Export.Columns[1:]
	c.put(t, "mysql/uno_20250102_153045.csv", []byte("nombre\na\n\n\"\"\nb\n"))
	c.view(t, s)
	c.shows(t, `SELECT nombre FROM "mysql"."uno"`, "'a'", "NULL", "''", "'b'")
}
