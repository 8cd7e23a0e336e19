package web

import (
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

func tables(t *testing.T) map[string]texts {
	t.Helper()
	all := map[string]texts{}
	for _, l := range locales {
		table, err := readTexts(l.texts)
		if err != nil {
			t.Fatal(err)
		}
		all[l.texts] = table
	}
	return all
}

// placeholder is where a text has something put in.
var placeholder = regexp.MustCompile(`%[sd]`)

func TestLanguagesSayTheSame(t *testing.T) {
	all := tables(t)
	english := all["en"]
	for language, table := range all {
		for key, text := range table {
			other, ok := english[key]
			switch {
			case !ok:
				t.Errorf("%s: there is no %s in English", language, key)
			case strings.TrimSpace(text) == "" || strings.TrimSpace(text) != text:
				t.Errorf("%s: %s is %q", language, key, text)
			case !slices.Equal(placeholder.FindAllString(text, -1), placeholder.FindAllString(other, -1)):
				t.Errorf("%s: %s has other places than in English: %q, %q", language, key, text, other)
			}
		}
		for key := range english {
			if !table.has(key) {
				t.Errorf("%s: there is no %s", language, key)
			}
		}
	}
}

// Whatever package ingest, jobs or catalog may say, people read in words of their own.
func TestEveryCodeHasItsWords(t *testing.T) {
	keys := map[string]bool{}
	for _, s := range ingest.Statuses() {
		keys["status."+string(s)] = true
	}
	for _, s := range []ingest.State{ingest.Pending, ingest.Exporting, ingest.Done, ingest.Broken} {
		keys["state."+string(s)] = true
	}
	for _, outcome := range []string{ingest.OutcomeRetry, ingest.OutcomeExpired, ingest.OutcomeHandedBack} {
		keys["outcome."+outcome] = true
	}
	for _, c := range ingest.Codes() {
		keys["code."+string(c)], keys["code."+string(c)+"_next"] = true, true
	}
	for _, c := range jobs.Codes() {
		keys["problem."+string(c)], keys["problem."+string(c)+"_next"] = true, true
	}
	for _, state := range []jobs.State{jobs.Up, jobs.Down} {
		keys["works."+string(state)] = true
	}
	for _, rule := range []string{catalog.Excluded, catalog.SensitiveName} {
		keys["rule."+rule] = true
	}
	for _, done := range flashes {
		keys["flash."+done] = true
	}
	for language, table := range tables(t) {
		for key := range keys {
			if !table.has(key) {
				t.Errorf("%s: there is no %s", language, key)
			}
		}
		for key := range table {
			section, name, _ := strings.Cut(key, ".")
			if slices.Contains([]string{"status", "state", "outcome", "code", "rule", "flash", "works"}, section) && !keys[key] {
				t.Errorf("%s: nobody says %s.%s", language, section, name)
			}
		}
		known := map[string]bool{}
		for _, kind := range api.Kinds(api.Language(language)) {
			known["problem."+string(kind.Code)+"_next"] = true
			if title, next := (&visit{view: &view{language: language, texts: table}}).explain(&api.Problem{Code: kind.Code}); title == "" || next == "" {
				t.Errorf("%s: nobody explains the problem %s", language, kind.Code)
			}
		}
		for key := range table {
			if strings.HasPrefix(key, "problem.") && strings.HasSuffix(key, "_next") && !known[key] {
				t.Errorf("%s: there is no such problem: %s", language, key)
			}
		}
	}
}

// said finds the keys that templates name.
var said = regexp.MustCompile(`\b(t|count) "([a-z0-9_.]+)"`)

// Templates say what the tables say: no key that is not there, and nothing of their own.
func TestTemplatesSayNothingOfTheirOwn(t *testing.T) {
	english := tables(t)["en"]
	used := map[string]bool{}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil || len(names) == 0 {
		t.Fatalf("the templates are %v, %v", names, err)
	}
	own := []string{"SHA-256", "S3", "Athena", "DuckDB", "ingesta:run"} // names, which are the same in every language
	for _, name := range names {
		content, err := fs.ReadFile(templateFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range said.FindAllStringSubmatch(string(content), -1) {
			for _, key := range map[string][]string{"t": {match[2]}, "count": {match[2] + "_one", match[2] + "_other"}}[match[1]] {
				used[key] = true
				if !english.has(key) {
					t.Errorf("%s: there is no text %s", name, key)
				}
			}
		}
		plain := regexp.MustCompile(`(?s){{.*?}}`).ReplaceAllString(string(content), "")
		tokens := html.NewTokenizer(strings.NewReader(plain))
		for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
			text := strings.TrimSpace(string(tokens.Text()))
			if kind == html.TextToken && regexp.MustCompile(`\pL`).MatchString(text) && !slices.Contains(own, text) {
				t.Errorf("%s says %q by itself", name, text)
			}
		}
		for _, attribute := range regexp.MustCompile(`(?:alt|title|aria-label|placeholder)="([^"]*)"`).FindAllStringSubmatch(plain, -1) {
			if strings.TrimSpace(attribute[1]) != "" {
				t.Errorf("%s says %q by itself", name, attribute[1])
			}
		}
	}
	prefixes := []string{"nav.", "language.", "status.", "state.", "outcome.", "works.", "server.", "kind.", "mask.", "rule.", "flash.", "code.", "problem.", "login.", "format.", "live."}
	for _, key := range slices.Sorted(maps.Keys(english)) {
		byName := slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
		if !used[key] && !byName && !strings.HasSuffix(key, ".title") {
			t.Errorf("no template says %s", key)
		}
	}
}
