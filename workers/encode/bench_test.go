package encode

import (
	"io"
	"testing"
	"time"
)

func BenchmarkRecord(b *testing.B) {
	name, kind, price := []byte("Paracetamol Forte 500 mg"), []byte("Analgésicos, antipiréticos"), []byte("1234.5")
	created := []byte("2025-01-02 15:30:45.120000")
	w := NewWriter(io.Discard)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Int(int64(i))
		w.Text(name)
		w.Text(kind)
		w.Raw(price)
		w.Bool(i%2 == 0)
		w.WallTime(created)
		w.Null()
		_ = w.EndRow()
	}
}

func BenchmarkText(b *testing.B) {
	short := []byte("Paracetamol")
	long := []byte("Tome una tableta cada ocho horas durante siete días; no exceda la dosis indicada por su médico y consérvelo fuera del alcance de los niños.")
	quoted := []byte(`Indicado para "dolor leve", fiebre y malestar general`)
	for _, c := range []struct {
		name string
		text []byte
	}{{"short", short}, {"long", long}, {"quoted", quoted}} {
		b.Run(c.name, func(b *testing.B) {
			w := NewWriter(io.Discard)
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				w.Text(c.text)
				_ = w.EndRow()
			}
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	document := []byte(`[{"id": 17, "nombre": "Ibuprofeno 400 mg", "cantidad": 2}, {"id": 4, "nombre": "Loratadina", "cantidad": 1}]`)
	w := NewWriter(io.Discard)
	b.ReportAllocs()
	b.SetBytes(int64(len(document)))
	for b.Loop() {
		w.JSON(document)
		_ = w.EndRow()
	}
}

func BenchmarkFloat(b *testing.B) {
	w := NewWriter(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		w.Float(1234.5678)
		_ = w.EndRow()
	}
}

func BenchmarkTime(b *testing.B) {
	at := time.Date(2025, 1, 2, 15, 30, 45, 120_000_000, time.UTC)
	w := NewWriter(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		w.Time(at)
		_ = w.EndRow()
	}
}
