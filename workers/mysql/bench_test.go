package mysql

import (
	"io"
	"runtime"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
)

// drain is a sink that only counts.
type drain struct {
	io.Writer
	rows int64
}

func (d *drain) AddRows(n int64) { d.rows += n }

// users makes a table like PharmaVida's users with so many rows, and returns its dataset.
func (s *server) users(t testing.TB, name string, rows int) catalog.Dataset {
	t.Helper()
	must(t, s.admin, `CREATE TABLE `+name+` (id bigint PRIMARY KEY AUTO_INCREMENT, dni varchar(255), nombre varchar(255),
		apellido varchar(255), email varchar(255), role varchar(255), distrito varchar(255))`)
	must(t, s.admin, `INSERT INTO `+name+` (dni, nombre, apellido, email, role, distrito) VALUES
		('01234567', 'Flor, de María', 'Tello "el Zurdo"', 'usuario@pharmavida.example', 'USER', 'Santiago de Surco'),
		('76543210', 'Iñaki', 'Ñaupari Gutiérrez', NULL, 'ADMIN', '')`)
	for n := 2; n < rows; n *= 2 {
		must(t, s.admin, `INSERT INTO `+name+` (dni, nombre, apellido, email, role, distrito)
			SELECT dni, nombre, apellido, email, role, distrito FROM `+name+` ORDER BY id LIMIT ?`, min(n, rows-n))
	}
	return catalog.Dataset{Name: name, Table: name}
}

// read prepares and reads the dataset in a session of its own, into a sink that keeps nothing. Around
// the reading alone it calls measure.
func (s *server) read(t testing.TB, d catalog.Dataset, boxes bool, measure func(run func())) (rows int64) {
	t.Helper()
	extraction, err := s.open(t, boxes).Prepare(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	sink := &drain{Writer: io.Discard}
	measure(func() {
		if _, err := extraction.Run(t.Context(), sink); err != nil {
			t.Fatal(err)
		}
	})
	return sink.rows
}

// TestRowsAllocateNothing compares the allocations of few rows with those of many.
func TestRowsAllocateNothing(t *testing.T) {
	s := newServer(t)
	s.config.TLS = "false"
	const few, many = 1_000, 41_000
	mallocs := func(table string, rows int) (n uint64) {
		d := s.users(t, table, rows)
		got := s.read(t, d, false, func(run func()) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run()
			runtime.ReadMemStats(&after)
			n = after.Mallocs - before.Mallocs
		})
		if got != int64(rows) {
			t.Fatalf("read %d rows, want %d", got, rows)
		}
		return n
	}
	base, all := mallocs("pocos", few), mallocs("muchos", many)
	if all > base+(many-few)/100 {
		t.Errorf("%d rows took %d allocations and %d rows %d: rows must take none of their own", few, base, many, all)
	}
}

// BenchmarkRead measures the way from the query to the encoded rows, in rows of one op. The server's
// own work is part of it.
func BenchmarkRead(b *testing.B) {
	s := newServer(b)
	s.config.TLS = "false"
	const rows = 200_000
	d := s.users(b, "users", rows)
	for _, c := range []struct {
		name  string
		boxes bool
	}{{"direct", false}, {"boxed", true}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.read(b, d, c.boxes, func(run func()) { run() })
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
