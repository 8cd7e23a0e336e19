package catalog

import (
	"strings"
	"testing"
)

func TestCheckSQL(t *testing.T) {
	for _, text := range []string{
		"id > 5", "nombre = 'O''Higgins'", `"from" = 'x' AND ("a""b" IS NULL)`, "`a``b c` = 1", "a - -1 > b / 2 * 3", "precio$ > 1", "a1$$ > 1",
		"x = '--;)' AND y = '/*('", "SELECT a, (SELECT max(b) FROM t)\n\tFROM u", "nombre = 'ñandú ✓'",
	} {
		if err := checkSQL(text); err != nil {
			t.Errorf("refused %s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"1=1; DROP TABLE a":     "semicolon",
		"1=1) OR (1=1":          "closes more",
		"(1=1":                  "not closed",
		"1=1 -- rest":           "comments",
		"1=1 /* rest":           "comments",
		"1=1 /*!50000 OR 1 */":  "comments",
		"1=1 # (\n) UNION":      "begins a comment",
		`a = 'x\' OR 1=1) -- '`: "backslash",
		`a = "x\" OR 1=1`:       "backslash",
		`a = \x`:                "backslash",
		"a = 'x":                "not closed",
		"a = $$x) OR (1=1$$":    "no $",
		"a = $q$x) OR (1=1$q$":  "no $",
		"a = 'b''c":             "not closed",
		"a = 1\x00":             "control character",
		"a = 1$$'$$ OR b = '":   "no $",
		"`'` ; DROP TABLE a; '": "a name in `",
		"a `--` b":              "a name in `",
		"a `$$` b":              "a name in `",
	} {
		if err := checkSQL(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want a complaint with %q", text, err, want)
		}
	}
}

func TestCheckFilter(t *testing.T) {
	for _, text := range []string{`{}`, `{"a": 1}`, `{"a": {"$gt": {"$numberDecimal": "1.5"}}, "$or": [{"b": null}, {"c": "$where is text"}]}`} {
		if err := checkFilter(text); err != nil {
			t.Errorf("refused %s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`a > 1`:                     "Extended JSON",
		`{"a": 1`:                   "Extended JSON",
		`{"a": 1} {"b": 2}`:         "Extended JSON",
		`[{"a": 1}]`:                "Extended JSON",
		`{"$where": "sleep(1000)"}`: "$where runs code",
		`{"a": {"$expr": {"$function": {"body": "f"}}}}`: "$function runs code",
		`{"\u0024where": "1"}`:                           "$where runs code",
	} {
		if err := checkFilter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a complaint with %q", text, err, want)
		}
	}
}
