package demodata

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	least := Size{Productos: 300, Ofertas: 100, Users: 500, Compras: 2000, Medicos: 150, Recetas: 450}
	tests := map[string]struct {
		rows, documents string
		want            Size
		ok              bool
	}{
		"by default":                 {"", "", least, true},
		"never less than by default": {"10", "10", least, true},
		"a million": {"1000000", "", Size{Productos: 1_000_000, Ofertas: 333_333, Users: 1_000_000, Compras: 1_000_000,
			Medicos: 16_666, Recetas: mostDocuments}, true},
		"documents apart": {"", "3000", Size{Productos: 300, Ofertas: 100, Users: 500, Compras: 2000, Medicos: 1000, Recetas: 3000}, true},
		"no number":       {"many", "", Size{}, false},
		"none":            {"", "0", Size{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := NewSize(func(variable string) string {
				return map[string]string{RowsVariable: test.rows, DocumentsVariable: test.documents}[variable]
			})
			if (err == nil) != test.ok || got != test.want {
				t.Errorf("got %+v, %v; want %+v, ok %v", got, err, test.want, test.ok)
			}
		})
	}
}

func TestRender(t *testing.T) {
	for name, script := range map[string]string{"postgresql": postgresqlSQL, "mysql": mysqlSQL} {
		small, smallMark := render(script, Size{Productos: 1})
		_, bigMark := render(script, Size{Productos: 2})
		_, changedMark := render(script+"-- more", Size{Productos: 1})
		if strings.Contains(strings.ReplaceAll(small, "{{mark}} are", ""), "{{") {
			t.Errorf("%s: a placeholder is left in the script", name)
		}
		if !strings.Contains(small, smallMark) {
			t.Errorf("%s: the script does not leave its mark", name)
		}
		if smallMark == bigMark || smallMark == changedMark {
			t.Errorf("%s: another size or script has the same mark", name)
		}
	}
}
