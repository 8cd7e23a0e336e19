package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// The built-in catalog is the customer's list of exports, to the column.
func TestBuiltin(t *testing.T) {
	c, err := Load("")
	if err != nil {
		t.Fatalf("the built-in catalog is invalid: %v", err)
	}
	want := []struct {
		database ingest.Database
		dataset  string
		object   string
		columns  string
	}{
		{"mongodb", "medicos", "medicos", "_id cmp nombre especialidad colegiaturaValida createdAt updatedAt"},
		{"mongodb", "recetas", "recetas", "_id pacienteDNI medicoCMP fechaEmision productos archivoPDF estadoValidacion createdAt updatedAt"},
		{"mysql", "users", "users", "id dni nombre apellido email role distrito"},
		{"mysql", "compras", "compras", "id fecha_compra usuario_id productos cantidades"},
		{"postgresql", "productos", "productos", "id nombre tipo precio stock requiere_receta fecha_creacion fecha_actualizacion"},
		{"postgresql", "ofertas", "ofertas_completo", "oferta_id fecha_vencimiento fecha_creacion fecha_actualizacion detalle_id producto_id producto_nombre descuento"},
	}
	i := 0
	for _, db := range c.Databases() {
		for _, d := range db.Datasets {
			if i >= len(want) {
				t.Fatalf("unexpected dataset %s/%s", db.Name, d.Name)
			}
			var columns []string
			for _, col := range d.Columns {
				columns = append(columns, col.Name)
			}
			w := want[i]
			if db.Name != w.database || d.Name != w.dataset || d.Object != w.object || strings.Join(columns, " ") != w.columns {
				t.Errorf("dataset %d is %s/%s → %s %v, want %s/%s → %s [%s]", i, db.Name, d.Name, d.Object, columns, w.database, w.dataset, w.object, w.columns)
			}
			i++
		}
	}
	if i != len(want) {
		t.Errorf("the catalog has %d datasets, want %d", i, len(want))
	}
}

// Every mistake is reported with file, line and key.
func TestParseErrors(t *testing.T) {
	const head = "version: 1\ndatabases:\n  - name: mysql\n    datasets:\n"
	tests := []struct {
		name, yaml, want string
	}{
		{"empty file", "", "f.yaml:1: the catalog is empty"},
		{"not YAML", "version: [", "f.yaml:1: "},
		{"wrong version", "version: 2\ndatabases: []\n", `f.yaml:1: version: want 1, got "2"`},
		{"no version", "databases: []\n", "f.yaml:1: version: want 1"},
		{"no databases", "version: 1\n", "f.yaml:1: databases: the catalog names none"},
		{"two documents", head + "      - {name: a, table: a}\n---\nversion: 1\n", "a second document"},
		{"unknown key", head + "      - name: a\n        tabla: a\n", `f.yaml:6: unknown key "tabla"`},
		{"unknown column key", head + "      - name: a\n        table: a\n        columns: [{name: x, typ: y}]\n", `f.yaml:7: unknown key "typ"`},
		{"column without name", head + "      - name: a\n        table: a\n        columns: [{json: true}]\n", "f.yaml:7: name: the column has none"},
		{"column's json", head + "      - name: a\n        table: a\n        columns: [{name: x, json: maybe}]\n", "f.yaml:7: json: want true or false"},
		{"no list of columns", head + "      - name: a\n        table: a\n        columns: x, y\n", "f.yaml:7: want a list, such as [a, b]"},
		{"no list of orders", head + "      - name: a\n        table: a\n        order_by: {x: desc}\n", "f.yaml:7: want a list, such as [a, b]"},
		{"filter without quotes", "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: a\n        collection: a\n        columns: [x]\n        where: {x: 1}\n", "f.yaml:8: want a single value: quote one"},
		{"sensitive in two characters", head + "      - name: a\n        table: a\n        columns: [\"contrasen\\u0303a\"]\n", "looks sensitive"},
		{"key twice", head + "      - name: a\n        name: b\n        table: a\n", `f.yaml:6: mapping key "name" already defined`},
		{"list for a value", head + "      - name: [a]\n        table: a\n", "f.yaml:5: want a single value"},
		{"no datasets", "version: 1\ndatabases:\n  - name: mysql\n", `f.yaml:3: datasets: database "mysql" has none`},
		{"database twice", head + "      - {name: a, table: a}\n  - name: mysql\n    datasets:\n      - {name: a, table: a}\n", `f.yaml:6: name: database "mysql" stands already on line 3`},
		{"dataset twice", head + "      - {name: a, table: a}\n      - {name: a, table: b, object: c}\n", `f.yaml:6: name: dataset "a" stands already on line 5`},
		{"object twice", head + "      - {name: a, table: a}\n      - {name: b, table: b, object: a}\n", `f.yaml:6: name: object "a" stands already on line 5`},
		{"bad dataset name", head + "      - {name: 'a/b', table: a}\n", `f.yaml:5: name: "a/b" is no name for a dataset`},
		{"bad table", head + "      - {name: a, table: 'a`; DROP TABLE b'}\n", "f.yaml:5: table: "},
		{"table's name too long", head + "      - {name: a, table: " + strings.Repeat("ñ", 64) + "}\n", "f.yaml:5: table: "},
		{"dataset's name too long", head + "      - {name: " + strings.Repeat("a", 101) + ", table: a}\n", "f.yaml:5: name: "},
		{"bad column", head + "      - name: a\n        table: a\n        columns: ['x\"y']\n", "f.yaml:7: columns: "},
		{"column twice", head + "      - name: a\n        table: a\n        columns: [x, x]\n", `f.yaml:7: columns: column "x" stands already on line 7`},
		{"sensitive column", head + "      - name: a\n        table: a\n        columns: [id, Password_Hash]\n", `f.yaml:7: columns: "Password_Hash" looks sensitive`},
		{"no source", head + "      - name: a\n", `f.yaml:5: name: dataset "a" needs exactly one of`},
		{"two sources", head + "      - {name: a, table: a, collection: a}\n", `f.yaml:5: name: dataset "a" needs exactly one of`},
		{"statement that writes", head + "      - name: a\n        query: DELETE FROM a\n        requires: [a]\n        columns: [x]\n", "f.yaml:6: query: want a statement that begins with SELECT or WITH"},
		{"two statements", head + "      - name: a\n        query: SELECT 1; DROP TABLE a\n        requires: [a]\n        columns: [x]\n", "f.yaml:6: query: want one statement"},
		{"query without requires", head + "      - name: a\n        query: SELECT x FROM a\n        columns: [x]\n", "f.yaml:6: requires: "},
		{"query without columns", head + "      - name: a\n        query: SELECT x FROM a\n        requires: [a]\n", "f.yaml:5: columns: "},
		{"sensitive and excluded", head + "      - name: a\n        table: a\n        columns: [id]\n        exclude: [x]\n", `f.yaml:8: exclude: goes with a table that lists no columns: leave "x" out`},
		{"excluded and declared", "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: a\n        collection: a\n        columns: [x]\n        exclude: [x]\n", `"x" stands among the columns`},
		{"excluded of a query", head + "      - name: a\n        query: SELECT x FROM a\n        requires: [a]\n        columns: [x]\n        exclude: [y]\n", "f.yaml:9: exclude: goes with a table"},
		{"bad new name", head + "      - name: a\n        table: a\n        columns: [{name: x, as: 'y z'}]\n", `f.yaml:7: as: "y z" is no identifier`},
		{"new name twice", head + "      - name: a\n        table: a\n        columns: [x, {name: y, as: x}]\n", `f.yaml:7: columns: the file's column "x" stands already on line 7`},
		{"unknown mask", head + "      - name: a\n        table: a\n        columns: [{name: x, mask: blur}]\n", `f.yaml:7: mask: "blur" is no mask: use hash, redact, last4`},
		{"masked and sensitive", head + "      - name: a\n        table: a\n        columns: [{name: token, mask: hash}]\n", `f.yaml:7: columns: "token" looks sensitive`},
		{"condition that breaks out", head + "      - name: a\n        table: a\n        where: 1=1) OR (1=1\n", "f.yaml:7: where: a ) closes more than was opened"},
		{"condition of a query", head + "      - name: a\n        query: SELECT x FROM a\n        requires: [a]\n        columns: [x]\n        where: x > 1\n", "f.yaml:9: where: goes with a table or a collection"},
		{"empty condition", head + "      - name: a\n        table: a\n        where: ''\n", "f.yaml:7: where: the condition is empty"},
		{"filter in SQL", "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: a\n        collection: a\n        columns: [x]\n        where: x > 1\n", "f.yaml:8: where: want MongoDB's filter"},
		{"order of a query", head + "      - name: a\n        query: SELECT x FROM a\n        requires: [a]\n        columns: [x]\n        order_by: [x]\n", "f.yaml:9: order_by: goes with a table or a collection"},
		{"bad order", head + "      - name: a\n        table: a\n        order_by: [x down]\n", `f.yaml:7: order_by: "x down": want a column`},
		{"order by an expression", head + "      - name: a\n        table: a\n        order_by: ['sleep(9)']\n", `f.yaml:7: order_by: "sleep(9)" is no identifier`},
		{"extra of a table", head + "      - name: a\n        table: a\n        extra: true\n", "f.yaml:7: extra: goes with a collection"},
		{"extra that is no answer", "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: a\n        collection: a\n        columns: [x]\n        extra: some\n", "f.yaml:8: extra: want true or false"},
		{"extra beside its own name", "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: a\n        collection: a\n        columns: [{name: x, as: _extra}]\n        extra: true\n", `f.yaml:8: extra: the column "_extra" of the file is taken`},
		{"mask without a value", head + "      - name: a\n        table: a\n        columns: [{name: x, mask: }]\n", "f.yaml:7: mask: has no value"},
		{"mask that is null", head + "      - name: a\n        table: a\n        columns:\n          - {name: x, mask: ~}\n", "f.yaml:8: mask: has no value"},
		{"condition without a value", head + "      - name: a\n        table: a\n        where:\n", "f.yaml:7: where: has no value"},
		{"exclusions without a value", head + "      - name: a\n        table: a\n        exclude: [x, null]\n", "f.yaml:7: exclude: has no value"},
		{"column's key twice", head + "      - name: a\n        table: a\n        columns: [{name: x, mask: hash, name: y}]\n", `f.yaml:7: name: the key "name" stands already on line 7`},
		{"excluded twice", head + "      - name: a\n        table: a\n        exclude: [x, x]\n", `f.yaml:7: exclude: column "x" stands already on line 7`},
		{"ordered by twice", head + "      - name: a\n        table: a\n        order_by: [x, x desc]\n", `f.yaml:7: order_by: column "x" stands already on line 7`},
		{"excluded within a column", "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: a\n        collection: a\n        columns: [x]\n        exclude: [x.y]\n", `f.yaml:8: exclude: does not leave "x.y" out: the column "x" holds it`},
		{"masked within a column", "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: a\n        collection: a\n        columns: [{name: x.y.z, mask: hash}, {name: x, mask: redact}, x.y]\n", `f.yaml:7: mask: does not hide "x.y.z": the column "x.y" holds it as well`},
		{"requires without query", head + "      - name: a\n        table: a\n        requires: [b]\n", "f.yaml:7: requires: goes with a query"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tt.yaml))
			if err == nil {
				t.Fatalf("accepted:\n%s", tt.yaml)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// Rules of columns and rows arrive as they were written.
func TestRules(t *testing.T) {
	c, err := Parse("f.yaml", []byte(`
version: 1
databases:
  - name: mysql
    datasets:
      - name: users
        table: users
        where: email LIKE '%;%' AND (edad > 18)
        order_by: [distrito desc, id]
        columns: [id, {name: dni, as: documento, mask: hash}, {name: perfil, json: true}]
      - {name: all, table: users, exclude: [telefono]}
      - {name: dotted, table: users, columns: [a, {name: a.b, mask: redact}]}
  - name: mongodb
    datasets:
      - {name: m, collection: m, columns: [_id], exclude: [notas.internas], where: '{"edad": {"$gt": 18}}', extra: true}
      - {name: n, collection: n, columns: [_extra], extra: false}
`))
	if err != nil {
		t.Fatal(err)
	}
	mysql, _ := c.Database("mysql")
	users, _ := mysql.Dataset("users")
	if got := fmt.Sprint(users.OrderBy); got != "[{distrito true} {id false}]" {
		t.Errorf("the order is %s", got)
	}
	if users.Where != "email LIKE '%;%' AND (edad > 18)" {
		t.Errorf("the condition is %s", users.Where)
	}
	described := users.Columns[1].Describe(ingest.TypeInteger, "int(11)")
	if want := (ingest.Column{Name: "documento", Source: "dni", Type: ingest.TypeText, SourceType: "int(11)", Mask: "hash"}); described != want {
		t.Errorf("the masked column is described as %+v, want %+v", described, want)
	}
	if got := users.Columns[0].Describe(ingest.TypeInteger, "int(11)"); got != (ingest.Column{Name: "id", Type: ingest.TypeInteger, SourceType: "int(11)"}) {
		t.Errorf("the plain column is described as %+v", got)
	}
	all, _ := mysql.Dataset("all")
	if rule := all.Withholds("telefono"); rule != "excluded" {
		t.Errorf("the excluded column is withheld by %q", rule)
	}
	mongodb, _ := c.Database("mongodb")
	for name, want := range map[string]bool{"m": true, "n": false} {
		if d, ok := mongodb.Dataset(name); !ok || d.Extra != want {
			t.Errorf("dataset %s has extra: %t, want %t", name, d.Extra, want)
		}
	}
}

func TestParseReportsEveryProblem(t *testing.T) {
	_, err := Parse("f.yaml", []byte("version: 1\ndatabases:\n  - name: mysql\n    datasets:\n      - {name: 'a b', table: a}\n      - {name: c, table: '1c'}\n"))
	if err == nil || !strings.Contains(err.Error(), "f.yaml:5:") || !strings.Contains(err.Error(), "f.yaml:6:") {
		t.Errorf("want a problem on line 5 and one on line 6, got %v", err)
	}
}

func TestLoadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(path, []byte("version: 1\ndatabases:\n  - name: mysql\n    datasets:\n      - {name: all, table: shop.everything, allow: [api_token]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	db, _ := c.Database("mysql")
	d, ok := db.Dataset("all")
	if !ok || d.Table != "shop.everything" || d.Object != "all" || len(d.Columns) != 0 {
		t.Errorf("got %+v", d)
	}
	for column, withheld := range map[string]bool{"id": false, "api_token": false, "password": true, "CONTRASEÑA": true, "token_hash": true} {
		if got := d.Withholds(column) != ""; got != withheld {
			t.Errorf("Withholds(%q) = %v, want %v", column, got, withheld)
		}
	}
	builtin, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if builtin.Digest() == c.Digest() || !strings.HasPrefix(c.Digest(), "sha256:") {
		t.Errorf("digests do not tell the catalogs apart: %s, %s", builtin.Digest(), c.Digest())
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("loaded a file that does not exist")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(builtin)
	f.Add([]byte("version: 1\ndatabases: [{name: a, datasets: [{name: b, table: c}]}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yaml", data)
		if err != nil {
			return
		}
		for _, db := range c.Databases() {
			for _, d := range db.Datasets {
				if len(d.Sources()) == 0 || d.Object == "" {
					t.Errorf("accepted a dataset that reads nothing: %+v", d)
				}
			}
		}
	})
}
