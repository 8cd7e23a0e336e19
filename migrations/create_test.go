package migrations

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []string{"000001_add_budgets", "000002_more_of_it", "000003_third"} {
		up, down, err := Create(dir, []string{"add_budgets", " More of-it ", "third"}[i])
		if err != nil {
			t.Fatal(err)
		}
		if up != filepath.Join(dir, want+".up.sql") || down != filepath.Join(dir, want+".down.sql") {
			t.Errorf("got %s and %s, want %s", up, down, want)
		}
		for _, path := range []string{up, down} {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(content), "-- ") {
				t.Errorf("%s: got %q, want a comment that says what to mind", path, content)
			}
		}
	}
	if err := os.Rename(filepath.Join(dir, "000003_third.up.sql"), filepath.Join(dir, "000007_third.up.sql")); err != nil {
		t.Fatal(err)
	}
	if up, _, err := Create(dir, "next"); err != nil || filepath.Base(up) != "000008_next.up.sql" {
		t.Errorf("got %s, %v, want the number after the highest", up, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", "  ", "../up", "a/b", `a\b`, "añadir", "a.b", "a;b", "__", "a__b", "_a", strings.Repeat("a", 101)} {
		if up, _, err := Create(dir, name); err == nil {
			t.Errorf("%q: got %s, want the name refused", name, up)
		}
	}
	if _, _, err := Create(filepath.Join(dir, "none"), "a"); err == nil {
		t.Error("a folder that is not there was accepted")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("got %v, %v, want no file of a refused migration", entries, err)
	}
}

func TestNoFileIsOverwritten(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "000001_a.up.sql")
	if err := os.WriteFile(taken, []byte("SELECT 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(taken, upHeader); err == nil {
		t.Error("a file that is there was accepted")
	}
	if content, err := os.ReadFile(taken); err != nil || string(content) != "SELECT 1" {
		t.Errorf("got %q, %v, want the file as it was", content, err)
	}
}
