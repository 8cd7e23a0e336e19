package lake

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

var update = flag.Bool("update", false, "write the statements of the tests to testdata as what is wanted")

// exported are the columns of the built-in catalog's datasets as exports tell them, "name type (source type)".
var exported = map[string][]string{
	"mongodb.medicos":      {"_id objectid (objectId)", "cmp text (string)", "nombre text (string)", "especialidad text (string)", "colegiaturaValida boolean (bool)", "createdAt instant (date)", "updatedAt instant (date)"},
	"mongodb.recetas":      {"_id objectid (objectId)", "pacienteDNI text (string)", "medicoCMP text (string)", "fechaEmision instant (date)", "productos json (array)", "archivoPDF text (string)", "estadoValidacion text (string)", "createdAt instant (date)", "updatedAt instant (date)"},
	"mysql.users":          {"id integer (bigint(20))", "dni text (varchar(255))", "nombre text (varchar(255))", "apellido text (varchar(255))", "email text (varchar(255))", "role text (varchar(255))", "distrito text (varchar(255))"},
	"mysql.compras":        {"id integer (bigint)", "fecha_compra timestamp (datetime)", "usuario_id integer (bigint)", "productos json (longtext)", "cantidades json (longtext)"},
	"postgresql.productos": {"id integer (integer)", "nombre text (character varying(255))", "tipo text (character varying(100))", "precio float (double precision)", "stock integer (integer)", "requiere_receta boolean (boolean)", "fecha_creacion timestamp (timestamp without time zone)", "fecha_actualizacion timestamp (timestamp without time zone)"},
	"postgresql.ofertas":   {"oferta_id integer (integer)", "fecha_vencimiento timestamp (timestamp without time zone)", "fecha_creacion timestamp (timestamp without time zone)", "fecha_actualizacion timestamp (timestamp without time zone)", "detalle_id integer (integer)", "producto_id integer (integer)", "producto_nombre text (character varying(255))", "descuento float (double precision)"},
}

// columns reads "name type (source type)".
func columns(described ...string) (columns []ingest.Column) {
	for _, text := range described {
		name, rest, _ := strings.Cut(text, " ")
		fileType, source, _ := strings.Cut(strings.TrimSuffix(rest, ")"), " (")
		columns = append(columns, ingest.Column{Name: name, Type: fileType, SourceType: source})
	}
	return columns
}

// users is a source with the given columns, in the default layout.
func users(columns ...ingest.Column) Source {
	return Source{
		Database: ingest.MySQL,
		Dataset:  catalog.Dataset{Name: "users", Object: "users"},
		Export:   ingest.Result{State: ingest.Done, URL: "s3://lake/mysql/users_20250102_153045.csv", Columns: columns},
		Template: ingest.DefaultKeyTemplate,
	}
}

// statement fails the test where there is none.
func statement(t *testing.T, dialect Dialect, source Source) string {
	t.Helper()
	text, err := Statement(dialect, source)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestBuiltInCatalog(t *testing.T) {
	datasets, err := catalog.Load("")
	if err != nil {
		t.Fatal(err)
	}
	for _, db := range datasets.Databases() {
		for _, d := range db.Datasets {
			name := string(db.Name) + "." + d.Name
			source := Source{Database: db.Name, Dataset: d, Template: ingest.DefaultKeyTemplate, Export: ingest.Result{
				State: ingest.Done, URL: "s3://pharmavida-ingesta/" + string(db.Name) + "/" + d.Object + "_20250102_153045.csv", Columns: columns(exported[name]...),
			}}
			for _, dialect := range Dialects() {
				t.Run(name+"/"+string(dialect), func(t *testing.T) { golden(t, name+"."+string(dialect)+".sql", statement(t, dialect, source)) })
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the statements are\n%s\nwant, as in %s (run with -update if it is right),\n%s", got, path, want)
	}
}

func TestTypes(t *testing.T) {
	const era = `CAST(regexp_replace("c", '^(\S+)(.*) BC$', '\1 (BC)\2') AS `
	for _, tt := range []struct {
		described              string
		read, duckDB, inAthena string
	}{
		{"c text (varchar(20))", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c integer (bigint(20))", "BIGINT", `"c"`, `TRY_CAST("c" AS bigint)`},
		{"c integer (int, long)", "BIGINT", `"c"`, `TRY_CAST("c" AS bigint)`},
		{"c integer (int(10) unsigned)", "BIGINT", `"c"`, `TRY_CAST("c" AS bigint)`},
		{"c integer (bigint(20) unsigned)", "HUGEINT", `"c"`, `TRY_CAST("c" AS decimal(20, 0))`},
		{"c integer (unsigned bigint)", "HUGEINT", `"c"`, `TRY_CAST("c" AS decimal(20, 0))`},
		{"c integer (bit(64))", "HUGEINT", `"c"`, `TRY_CAST("c" AS decimal(20, 0))`},
		{"c integer (xid8)", "HUGEINT", `"c"`, `TRY_CAST("c" AS decimal(20, 0))`},
		{"c decimal (numeric(10,2))", "VARCHAR", `CAST(NULLIF("c", 'NaN') AS DECIMAL(10, 2)) AS "c"`, `TRY_CAST("c" AS decimal(10, 2))`},
		{"c decimal (decimal(5) unsigned)", "VARCHAR", `CAST(NULLIF("c", 'NaN') AS DECIMAL(5, 0)) AS "c"`, `TRY_CAST("c" AS decimal(5, 0))`},
		{"c decimal (numeric)", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c decimal (decimal(65,30))", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c decimal (numeric(2,5))", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c decimal (numeric(2,-5))", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c decimal (numeric(99999999999999999999))", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c float (double)", "DOUBLE", `"c"`, `TRY_CAST("c" AS double)`},
		{"c boolean (bool)", "BOOLEAN", `"c"`, `TRY_CAST("c" AS boolean)`},
		{"c boolean (tinyint(1))", "VARCHAR", `TRY_CAST("c" AS BOOLEAN) AS "c"`, `TRY_CAST("c" AS boolean)`},
		{"c date (date)", "VARCHAR", era + `DATE) AS "c"`, `TRY_CAST("c" AS date)`},
		{"c timestamp (datetime)", "VARCHAR", era + `TIMESTAMP) AS "c"`, `TRY_CAST("c" AS timestamp)`},
		{"c instant (timestamp with time zone)", "VARCHAR", era + `TIMESTAMPTZ) AS "c"`, `TRY_CAST(replace("c", '+00') AS timestamp)`},
		{"c time (time(6))", "INTERVAL", `"c"`, `NULLIF("c", '')`},
		{"c time (time(3) without time zone)", "TIME", `"c"`, `NULLIF("c", '')`},
		{"c time (time with time zone)", "TIMETZ", `"c"`, `NULLIF("c", '')`},
		{"c interval (interval)", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c uuid (uuid)", "UUID", `"c"`, `NULLIF("c", '')`},
		{"c objectid (objectId)", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c bits (bit varying)", "VARCHAR", `"c"`, `NULLIF("c", '')`},
		{"c binary (bytea)", "VARCHAR", `unhex(substr("c", 3)) AS "c"`, `from_hex(regexp_extract("c", 'x([0-9a-f]*)$', 1))`},
		{"c json (jsonb)", "JSON", `"c"`, `NULLIF("c", '')`},
		{"c tomorrow (tomorrow)", "VARCHAR", `"c"`, `NULLIF("c", '')`},
	} {
		t.Run(tt.described, func(t *testing.T) {
			duck := statement(t, DuckDB, users(columns(tt.described)...))
			for _, want := range []string{"'c': '" + tt.read + "'\n", "\nSELECT\n  " + tt.duckDB + "\nFROM"} {
				if !strings.Contains(duck, want) {
					t.Errorf("DuckDB's statements are\n%s\nwant among them %q", duck, want)
				}
			}
			athena := statement(t, Athena, users(columns(tt.described)...))
			for _, want := range []string{"`c` string\n", "\nSELECT\n  " + tt.inAthena + " AS \"c\"\nFROM"} {
				if !strings.Contains(athena, want) {
					t.Errorf("Athena's statements are\n%s\nwant among them %q", athena, want)
				}
			}
		})
	}
}

// Whatever the columns are called, the statements are those that were meant.
func TestHostileNames(t *testing.T) {
	var hostile []ingest.Column
	for _, name := range []string{
		`a"b`, "it's", "`tick`", "two\nlines; DROP TABLE users; --", "día", "名前", "100% %s %d", "a.b", `\`, "select", "Filename", "filename", "ID", "id", "id_2", "column_1", "$path", "--",
	} {
		hostile = append(hostile, ingest.Column{Name: name, Type: ingest.TypeDecimal, SourceType: "numeric"})
	}
	source := users(hostile...)
	source.Dataset.Name = `Wild-"Name"; --`
	for _, dialect := range Dialects() {
		text := statement(t, dialect, source)
		golden(t, "hostile."+string(dialect)+".sql", text)
		if strings.Contains(text, "%!") {
			t.Errorf("a name is taken for a format in\n%s", text)
		}
	}
}

func TestLayouts(t *testing.T) {
	for _, tt := range []struct {
		template, url                string
		folder, glob, from, to, form string
		shared                       bool
	}{
		{"{database}/{object}_{stamp}.csv", "s3://lake/mysql/users_20250102_153045_2.csv",
			"s3://lake/mysql/", "s3://lake/mysql/users_#*.csv", "s3://lake/mysql/users_20250102_153045", "s3://lake/mysql/users_:", `/mysql/users_@\.csv$`, true},
		{"{database}/{object}/{object}_{stamp}.csv", "s3://lake/mysql/users/users_20250102_153045.csv",
			"s3://lake/mysql/users/", "s3://lake/mysql/users/users_#*.csv", "s3://lake/mysql/users/users_20250102_153045", "s3://lake/mysql/users/users_:", `/mysql/users/users_@\.csv$`, false},
		{"{stamp}/{database}.{object}", "s3://lake/20250102_153045_10/mysql.users",
			"s3://lake/", "s3://lake/#*/mysql.users", "s3://lake/20250102_153045", "s3://lake/:", `/@/mysql\.users$`, true},
		{"v1/{object}/{database}/{stamp}/{stamp}", "s3://lake/v1/users/mysql/20250102_153045/20250102_153045",
			"s3://lake/v1/users/mysql/", "s3://lake/v1/users/mysql/#*/#*", "s3://lake/v1/users/mysql/20250102_153045", "s3://lake/v1/users/mysql/:",
			`/v1/users/mysql/@/[0-9]{8}_[0-9]{6}(?:_[1-9][0-9]*)?$`, false},
	} {
		source := users(columns("c text (text)")...)
		source.Template, source.Export.URL = ingest.KeyTemplate(tt.template), tt.url
		at, ok := locate(source)
		if !ok {
			t.Errorf("%s is not seen to be of the template %s", tt.url, tt.template)
			continue
		}
		for what, texts := range map[string][2]string{
			"folder":   {at.folder(), tt.folder},
			"glob":     {at.glob(), strings.ReplaceAll(tt.glob, "#", strings.Repeat("[0-9]", 8)+"_"+strings.Repeat("[0-9]", 6))},
			"from":     {at.exactly, tt.from},
			"to":       {at.beyond(), tt.to},
			"the form": {at.key, strings.ReplaceAll(tt.form, "@", stampForm)},
		} {
			if texts[0] != texts[1] {
				t.Errorf("%s: %s is %s, want %s", tt.template, what, texts[0], texts[1])
			}
		}
		if at.shared != tt.shared {
			t.Errorf("%s: the folder is shared: %t, want %t", tt.template, at.shared, tt.shared)
		}
	}
}

func TestNoStatements(t *testing.T) {
	good := users(columns("c text (text)")...)
	for what, change := range map[string]func(*Source){
		"no export":             func(s *Source) { s.Export = ingest.Result{} },
		"an export under way":   func(s *Source) { s.Export.State = ingest.Exporting },
		"no columns":            func(s *Source) { s.Export.Columns = nil },
		"another template":      func(s *Source) { s.Template = "{database}/{object}/{stamp}.csv" },
		"another object":        func(s *Source) { s.Dataset.Object = "user" },
		"an address of no lake": func(s *Source) { s.Export.URL = "https://lake/mysql/users_20250102_153045.csv" },
		"no key":                func(s *Source) { s.Export.URL = "s3://lake" },
	} {
		source := good
		change(&source)
		for _, dialect := range Dialects() {
			if _, err := Statement(dialect, source); err == nil {
				t.Errorf("%s: there are statements for %s", what, dialect)
			} else if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%s: the error is %T, want one that is safe to show", what, err)
			}
		}
	}
	if _, err := Statement("oracle", good); err == nil {
		t.Error("there are statements in a dialect that nobody knows")
	}
	var d Dialect
	if err := d.UnmarshalText([]byte("Athena")); err == nil || !strings.Contains(err.Error(), `"athena"`) {
		t.Errorf("got %v, want an error that names the dialects", err)
	}
	if err := d.UnmarshalText([]byte("duckdb")); err != nil || d != DuckDB {
		t.Errorf("got %q, %v", d, err)
	}
}
