package main

import (
	"strings"
	"testing"
)

func TestScript(t *testing.T) {
	for name, text := range map[string]string{"postgresql": postgresqlSQL, "mysql": mysqlSQL} {
		rows := map[string]int{"productos": 300, "ofertas": 100, "users": 500, "compras": 2000}
		small := newScript(text, "last", rows)
		changed := newScript(text+"-- more", "last", rows)
		for table := range rows {
			rows[table]++
		}
		big := newScript(text, "last", rows)
		if left := strings.ReplaceAll(small.sql, "{{1 to …}}", ""); strings.Contains(left, "{{") { // a comment names that one
			t.Errorf("%s: a placeholder is left in the script", name)
		}
		if !strings.Contains(small.sql, "'"+small.mark+"'") {
			t.Errorf("%s: the script does not leave its mark", name)
		}
		if small.mark == big.mark || small.mark == changed.mark {
			t.Errorf("%s: another size or script has the same mark", name)
		}
	}
}

// What stands in a database decides whether it is left alone, made anew, or not ours to touch.
func TestScriptStands(t *testing.T) {
	s := script{marked: "last", mark: madeHere + " 1"}
	tests := map[string]struct {
		comments   map[string]string
		stands, ok bool
	}{
		"nothing":                      {nil, false, true},
		"the whole load":               {map[string]string{"first": madeHere, "last": madeHere + " 1"}, true, true},
		"a load of another size":       {map[string]string{"first": madeHere, "last": madeHere + " 2"}, false, true},
		"a load cut short":             {map[string]string{"first": madeHere, "last": madeHere}, false, true},
		"a load cut short early":       {map[string]string{"first": madeHere}, false, true},
		"one whose last table tells":   {map[string]string{"first": "", "last": madeHere + " 2"}, false, true},
		"somebody's table":             {map[string]string{"first": ""}, false, false},
		"somebody's among ours":        {map[string]string{"first": madeHere, "second": "orders"}, false, false},
		"somebody's in the last place": {map[string]string{"first": madeHere, "last": "VIEW"}, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			stands, err := s.stands("pharmavida_db", test.comments)
			if stands != test.stands || (err == nil) != test.ok {
				t.Errorf("stands %v, %v; want %v, ok %v", stands, err, test.stands, test.ok)
			}
		})
	}
}
