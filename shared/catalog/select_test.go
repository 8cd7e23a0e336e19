package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
)

func TestSelect(t *testing.T) {
	source := []string{"id", "nombre", "password", "id"}
	columns := func(names ...string) (declared []Column) {
		for _, name := range names {
			declared = append(declared, Column{Name: name, JSON: name == "nombre"})
		}
		return declared
	}
	tests := []struct {
		name     string
		dataset  Dataset
		source   []string
		selected string
		withheld string
		err      string // part of it
	}{
		{"all", Dataset{}, source, "[id0 nombre1 id0]", "[{password sensitive_name}]", ""},
		{"declared, in their order", Dataset{Columns: columns("nombre", "id")}, source, "[nombre1 id0]", "[]", ""},
		{"declared and sensitive", Dataset{Columns: columns("password", "id")}, source, "[id0]", "[{password sensitive_name}]", ""},
		{"allowed", Dataset{Columns: columns("password"), Allow: []string{"password"}}, source, "[password2]", "[]", ""},
		{"missing", Dataset{Name: "users", Columns: columns("id", "apodo")}, source, "[]", "[]", `"apodo" does not exist in dataset "users"`},
		{"missing and sensitive", Dataset{Name: "users", Columns: columns("token")}, source, "[]", "[]", `"token" does not exist`},
		{"nothing left", Dataset{Name: "users"}, source[2:3], "[]", "[]", `dataset "users" has no column that may be exported`},
		{"excluded", Dataset{Exclude: []string{"nombre"}}, source, "[id0 id0]", "[{nombre excluded} {password sensitive_name}]", ""},
		{"excluded and missing", Dataset{Name: "users", Exclude: []string{"apodo"}}, source, "[]", "[]", `"apodo", which dataset "users" excludes, does not exist`},
		{"a field excluded of a collection", Dataset{Collection: "c", Columns: columns("id"), Exclude: []string{"apodo"}}, source, "[id0]", "[{apodo excluded}]", ""},
		{"ordered", Dataset{Columns: columns("id"), OrderBy: []Order{{"password", true}}}, source, "[id0]", "[]", ""},
		{"ordered by a missing column", Dataset{Name: "users", OrderBy: []Order{{"apodo", false}}}, source, "[]", "[]", `"apodo", by which dataset "users" is ordered, does not exist`},
		{"an empty source", Dataset{Name: "users"}, nil, "[]", "[]", "no column that may be exported"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			selected, withheld, err := test.dataset.Select(test.source)
			chosen := make([]string, len(selected))
			for i, s := range selected {
				chosen[i] = s.Name + strconv.Itoa(s.At)
			}
			if got := fmt.Sprint(chosen); got != test.selected {
				t.Errorf("selected %s, want %s", got, test.selected)
			}
			if got := fmt.Sprint(withheld); got != test.withheld {
				t.Errorf("withheld %s, want %s", got, test.withheld)
			}
			switch {
			case test.err == "" && err != nil:
				t.Errorf("refused with %v", err)
			case test.err != "" && (!ingest.HasCode(err, ingest.ColumnNotFound) || !strings.Contains(err.Error(), test.err)):
				t.Errorf("got %v, want an error of code %s that says %q", err, ingest.ColumnNotFound, test.err)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	db := Database{Name: "mysql", Datasets: []Dataset{{Name: "users"}, {Name: "compras"}, {Name: "lotes"}}}
	for want, names := range map[string][]string{
		"[users compras lotes]": nil,
		"[users lotes]":         {"lotes", "users", "lotes"},
	} {
		chosen, err := db.Choose(names)
		if got := fmt.Sprint(Database{Datasets: chosen}.Names()); err != nil || got != want {
			t.Errorf("%v chose %s, %v; want %s in the order of the file", names, got, err, want)
		}
	}
	if _, err := db.Choose([]string{"users", "usuarios"}); err == nil || !strings.Contains(err.Error(), `"usuarios": choose from users, compras, lotes`) {
		t.Errorf("an unknown dataset: got %v, want an error that lists the known ones", err)
	}
}
