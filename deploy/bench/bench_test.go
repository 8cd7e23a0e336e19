package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/deploy/bench/replay"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// newTestBench returns a benchmark on the servers of the clone's own stack, with a bucket, a virtual
// host and keys of the test's own, and two datasets of a few rows.
func newTestBench(t *testing.T) *bench {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		settings: settings{Rounds: 1, Scale: 1, Keep: true}, out: io.Discard,
		stack: newStack(root, io.Discard), workers: map[ingest.Database]*program{},
	}
	b.stack.dir, b.stack.env = t.TempDir(), map[string]string{}
	for _, variable := range stacktest.Environ(t, stacktest.Isolate(t)...) {
		name, value, _ := strings.Cut(variable, "=")
		b.stack.env[name] = value
	}
	if err := os.Mkdir(b.stack.local("logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.lake = newLake(b.stack.env)
	name := strings.ToLower(rand.Text()[:12])
	b.data = newDatasets(0.00001)
	b.data.productos.Table, b.data.productos.Rows = "productos_"+name, 200
	b.data.users.Table, b.data.users.Rows = "users_"+name, 100
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Errorf("ending what the benchmark has started: %v", err)
		}
	})
	return b
}

func TestExportsAndTheirReferences(t *testing.T) {
	b := newTestBench(t)
	ctx := t.Context()
	productos, users := b.data.productos, b.data.users
	t.Cleanup(func() { dropTables(t, b) })
	for _, d := range []dataset{productos, users} {
		for range 2 { // the second time finds it there
			if err := b.fill(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	recetas := b.data.recetas
	recetas.Rows = 300
	b.replay = replayed(t, recetas)
	if err := b.startProduct(ctx, []ingest.Database{ingest.PostgreSQL, ingest.MySQL, ingest.MongoDB}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []subject{
		export(exportProductos, productos), psqlNull(productos), psqlPipe(productos), python(pythonProductos, productos),
		export(exportUsers, users), mariadbNull(users), python(pythonUsers, users),
		export(exportRecetas, recetas),
	} {
		if missing := slices.DeleteFunc(slices.Clone(s.packages), func(name string) bool {
			_, err := os.Stat(debian[name])
			return err == nil
		}); len(missing) > 0 {
			t.Logf("%s is left out: %q are not installed", s.name, missing)
			continue
		}
		m, err := s.measure(ctx, b)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if m.Seconds <= 0 || m.Peak <= 0 {
			t.Errorf("%s measured as %+v; want a time and a peak", s.name, m)
		}
		if s.works != nil && (m.Rows == 0 || m.Bytes == 0 || m.Wall < m.Seconds) {
			t.Errorf("%s measured as %+v; want rows, bytes, and a client that waits longer than the job takes", s.name, m)
		}
	}

	productos.Rows++
	if _, err := export(exportProductos, productos).measure(ctx, b); err == nil {
		t.Error("an export that lacks a row is measured")
	}
	if _, err := python(pythonProductos, productos).measure(ctx, b); err == nil {
		t.Error("a reference that lacks a row is measured")
	}
}

// replayed serves as many documents as the dataset has until the test ends.
func replayed(t *testing.T, d dataset) *replay.Server {
	t.Helper()
	c := &replay.Collection{Name: d.Table}
	for i := range d.Rows {
		doc, err := bson.Marshal(bson.D{{Key: "_id", Value: i}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Append(doc); err != nil {
			t.Fatal(err)
		}
	}
	server, err := replay.Listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
	})
	return server
}

// dropTables removes what the test has loaded.
func dropTables(t *testing.T, b *bench) {
	ctx := context.Background()
	conn, err := b.openPostgreSQL(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx)
	db, err := b.openMySQL()
	if err != nil {
		t.Error(err)
		return
	}
	defer db.Close()
	_, dropped := conn.Exec(ctx, "DROP TABLE IF EXISTS "+b.data.productos.Table)
	_, err = db.ExecContext(ctx, "DROP TABLE IF EXISTS "+b.data.users.Table)
	if err := errors.Join(dropped, err); err != nil {
		t.Errorf("dropping the test's tables: %v", err)
	}
}

func TestEveryRoundMeasuresEverythingInAnotherOrder(t *testing.T) {
	all := []subject{{name: "a"}, {name: "b"}, {name: "c"}}
	var orders []string
	for round := range 4 {
		var names string
		for _, s := range order(all, round) {
			names += s.name
		}
		orders = append(orders, names)
	}
	if want := []string{"abc", "acb", "cab", "cba"}; !slices.Equal(orders, want) {
		t.Errorf("the rounds' orders are %q; want %q", orders, want)
	}
}

func TestTheReportSaysWhatWasMeasured(t *testing.T) {
	b := &bench{settings: settings{Rounds: 2, Scale: 1}, machine: machine{Cores: 2, CPU: "some processor"}, stack: newStack("", io.Discard)}
	chosen := []benchCase{
		{Name: "a/ratio", Quantity: seconds, Ours: "x", Ref: "y", Bar: 0.5},
		{Name: "a/memory", Quantity: memory, Ours: "x", Bar: 96},
		{Name: "a/rate", Quantity: rate, Ours: "x", Ref: "y", Bar: 0.5, AtLeast: true},
		{Name: "a/plain", Quantity: p99, Ours: "x"},
	}
	measured := map[string][]measurement{
		"x": {{Seconds: 1, Peak: 100, Rows: 500, Bytes: 3e6, Rate: 40, P99: 7}, {Seconds: 2, Peak: 120, Rows: 500, Bytes: 3e6, Rate: 60, P99: 9}},
		"y": {{Seconds: 4, Rate: 100}, {Seconds: 4, Rate: 100}},
	}
	r := newReport(b, chosen, []subject{{name: "x"}, {name: "y"}}, measured)
	for i, want := range []struct {
		figure float64
		met    any
	}{{0.375, true}, {110, false}, {0.5, true}, {8, nil}} {
		c := r.Cases[i]
		figure := c.Ratio
		if chosen[i].Ref == "" {
			figure = c.Ours
		}
		met := any(nil)
		if c.Met != nil {
			met = *c.Met
		}
		if figure != want.figure || met != want.met {
			t.Errorf("%s has %v, met %v; want %v, %v", c.Name, figure, met, want.figure, want.met)
		}
	}
	if c := r.Cases[0]; c.OursSeconds != 1.5 || c.RefSeconds != 4 || c.RowsPerSecond != 500/1.5 || c.MBPerSecond != 2 {
		t.Errorf("the first case is %+v; want 1.5 s, 4 s, a third of a thousand rows and 2 MB a second", c)
	}
	var printed strings.Builder
	if err := r.print(&printed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"some processor", "a/memory  110 MiB", "≤ 96.0   no", "a/ratio"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the printed report lacks %q:\n%s", want, &printed)
		}
	}
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `"met": true`) || !strings.Contains(string(text), `"ratio": 0.375`) {
		t.Errorf("the file is %s, %v; want the same figures", text, err)
	}
}
