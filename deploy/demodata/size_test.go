package main

import (
	"testing"

	"github.com/pharmavida/ingesta/shared/config"
)

func TestSize(t *testing.T) {
	least := Size{Productos: 300, Ofertas: 100, Users: 500, Compras: 2000, Medicos: 150, Recetas: 450}
	tests := map[string]struct {
		environ []string
		want    Size
		ok      bool
	}{
		"by default":                 {nil, least, true},
		"never less than by default": {[]string{"DEMO_ROWS=10", "DEMO_DOCUMENTS=10"}, least, true},
		"a million": {[]string{"DEMO_ROWS=1000000"}, Size{Productos: 1_000_000, Ofertas: 333_333, Users: 1_000_000, Compras: 1_000_000,
			Medicos: 16_666, Recetas: mostDocuments}, true},
		"documents apart": {[]string{"DEMO_DOCUMENTS=3000"}, Size{Productos: 300, Ofertas: 100, Users: 500, Compras: 2000, Medicos: 1000, Recetas: 3000}, true},
		"empty, as compose hands on what is not set": {[]string{"DEMO_ROWS=", "DEMO_DOCUMENTS="}, least, true},
		"no number": {[]string{"DEMO_ROWS=many"}, least, false},
		"none":      {[]string{"DEMO_DOCUMENTS=0"}, least, false},
		"too many":  {[]string{"DEMO_ROWS=1000000001"}, least, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var cfg sizeConfig
			_, err := config.Load(&cfg, test.environ)
			if got := cfg.size(); (err == nil) != test.ok || got != test.want {
				t.Errorf("got %+v, %v; want %+v, ok %v", got, err, test.want, test.ok)
			}
		})
	}
}
