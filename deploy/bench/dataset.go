package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// dataset is a table or collection of the benchmark's own, and the catalog's entry for it.
type dataset struct {
	Name     string
	Database ingest.Database
	Table    string
	Rows     int
	Columns  []string // those that the built-in catalog exports
}

var (
	productos = []string{"id", "nombre", "tipo", "precio", "stock", "requiere_receta", "fecha_creacion", "fecha_actualizacion"}
	users     = []string{"id", "dni", "nombre", "apellido", "email", "role", "distrito"}
	recetas   = []string{"_id", "pacienteDNI", "medicoCMP", "fechaEmision", "productos", "archivoPDF", "estadoValidacion", "createdAt", "updatedAt"}
)

// datasets are all data of the benchmark at a scale. A table is named for its rows: the sizes of
// several scales stand side by side.
type datasets struct {
	productos, users, recetas, tiny dataset
	growth                          [3]dataset // each ten times the one before
}

// fewest rows that a scaled table has.
const fewest = 1000

func newDatasets(scale float64) datasets {
	scaled := func(rows int) int { return max(fewest, int(math.Round(float64(rows)*scale))) }
	table := func(name string, rows int) dataset {
		return dataset{name, ingest.PostgreSQL, fmt.Sprintf("productos_%d", rows), rows, productos}
	}
	step := scaled(100_000)
	return datasets{
		productos: table("productos", scaled(2_000_000)),
		growth:    [3]dataset{table("growth_1", step), table("growth_10", 10*step), table("growth_100", 100*step)},
		tiny:      table("tiny", 10),
		users: dataset{
			"users", ingest.MySQL, fmt.Sprintf("users_%d", scaled(1_000_000)), scaled(1_000_000), users,
		},
		recetas: dataset{"recetas", ingest.MongoDB, "recetas", scaled(200_000), recetas},
	}
}

func (d datasets) all() []dataset {
	return append([]dataset{d.productos, d.tiny, d.users, d.recetas}, d.growth[:]...)
}

// catalog returns the catalog file of the datasets.
func (d datasets) catalog() string {
	var text strings.Builder
	text.WriteString("version: 1\ndatabases:\n")
	for _, database := range []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL} {
		fmt.Fprintf(&text, "  - name: %s\n    datasets:\n", database)
		kind := "table"
		if database == ingest.MongoDB {
			kind = "collection"
		}
		for _, d := range d.all() {
			if d.Database == database {
				fmt.Fprintf(&text, "      - {name: %s, %s: %s, columns: [%s]}\n", d.Name, kind, d.Table, strings.Join(d.Columns, ", "))
			}
		}
	}
	return text.String()
}
