package postgresql

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
)

// discarded counts the bytes it is given.
type discarded struct{ bytes int64 }

func (d *discarded) Write(p []byte) (int, error) {
	d.bytes += int64(len(p))
	return len(p), nil
}

func (d *discarded) AddRows(int64) {}

// products makes a table like that of the products, with so many rows.
func (s *server) products(t testing.TB, rows int) {
	must(t, s.admin, `CREATE TABLE productos (id serial PRIMARY KEY, nombre varchar(255), tipo varchar(100), precio float8, stock int,
		requiere_receta bool, fecha_creacion timestamp, fecha_actualizacion timestamp, ficha jsonb)`)
	must(t, s.admin, fmt.Sprintf(`INSERT INTO productos SELECT i, 'Paracetamol Forte ' || i %% 900 || ' mg, caja de ' || i %% 97 || ' tabletas',
		'Analgésico y antipirético ' || i %% 40, i %% 50000 / 100.0, i %% 1000, i %% 3 = 0,
		timestamp '2024-01-01 00:00:00.123456' + i * interval '1 second', timestamp '2024-06-01' + i * interval '1 second',
		jsonb_build_object('laboratorio', 'Portugal', 'lote', i, 'activo', i %% 2 = 0)
		FROM generate_series(1, %d) i`, rows))
	must(t, s.admin, "VACUUM ANALYZE productos")
}

// ways are the ways in which rows come into a file.
var ways = []struct {
	name    string
	columns []string
	change  func(*Source)
}{
	{"as they are", []string{"id", "nombre", "tipo", "precio", "stock", "requiere_receta", "fecha_creacion", "fecha_actualizacion"}, alone},
	{"with JSON", []string{"id", "nombre", "tipo", "precio", "stock", "requiere_receta", "fecha_creacion", "fecha_actualizacion", "ficha"}, alone},
	{"in ranges", []string{"id", "nombre", "tipo", "precio", "stock", "requiere_receta", "fecha_creacion", "fecha_actualizacion"}, cutLarge},
	{"in ranges with JSON", []string{"id", "nombre", "tipo", "precio", "stock", "requiere_receta", "fecha_creacion", "fecha_actualizacion", "ficha"}, cutLarge},
}

// alone has a source read over one connection.
func alone(s *Source) { s.parallel = 1 }

// cutLarge has a source read over two connections, in ranges of the usual size.
func cutLarge(s *Source) { s.parallel, s.large = 2, 1 }

func BenchmarkExport(b *testing.B) {
	const rows = 500_000
	s := newServer(b)
	s.products(b, rows)
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			source := s.source(b, 0)
			way.change(source)
			session := opened(b, source)
			d := catalog.Dataset{Table: "productos"}
			for _, name := range way.columns {
				d.Columns = append(d.Columns, catalog.Column{Name: name})
			}
			b.ReportAllocs()
			for b.Loop() {
				var out discarded
				if _, err := prepared(b, session, d).Run(b.Context(), &out); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(out.bytes)
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// TestNoAllocationPerRow exports many rows and counts allocations: there are as few as for few rows.
func TestNoAllocationPerRow(t *testing.T) {
	const rows = 100_000
	s := newServer(t)
	s.products(t, rows)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			source := s.source(t, 0)
			way.change(source)
			session := opened(t, source)
			d := catalog.Dataset{Table: "productos"}
			for _, name := range way.columns {
				d.Columns = append(d.Columns, catalog.Column{Name: name})
			}
			extraction := prepared(t, session, d)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := extraction.Run(t.Context(), new(discarded)); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if allocations := after.Mallocs - before.Mallocs; allocations > rows/20 {
				t.Errorf("%d rows took %d allocations, want none for a row", rows, allocations)
			} else {
				t.Logf("%d rows took %d allocations of %d bytes", rows, allocations, after.TotalAlloc-before.TotalAlloc)
			}
		})
	}
}
