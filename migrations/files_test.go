package migrations

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEmbeddedMigrations(t *testing.T) {
	known, err := read(embedded)
	if err != nil {
		t.Fatal(err)
	}
	if len(known) < 2 || known[0] != (Migration{1, "initial_schema"}) {
		t.Errorf("got %v, want 000001_initial_schema and more", known)
	}
	entries, err := fs.ReadDir(embedded, folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2*len(known) {
		t.Errorf("got %d files for %d migrations, want an up and a down of each and nothing else", len(entries), len(known))
	}
	comments := regexp.MustCompile(`(?m)^--.*$`)
	for _, entry := range entries {
		content, err := fs.ReadFile(embedded, folder+"/"+entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(comments.ReplaceAllString(string(content), "")) == "" {
			t.Errorf("%s holds no statement: the server refuses that", entry.Name())
		}
		if !regexp.MustCompile(`^\d{6}_`).MatchString(entry.Name()) {
			t.Errorf("%s does not begin with six digits", entry.Name())
		}
	}
}

func TestBadMigrationsAreRefused(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		want  string
	}{
		{"no down", []string{"000001_a.up.sql"}, "needs an up and a down"},
		{"no up", []string{"000001_a.down.sql"}, "needs an up and a down"},
		{"two names", []string{"000001_a.up.sql", "000001_b.down.sql"}, "needs an up and a down of the same name"},
		{"gap", []string{"000001_a.up.sql", "000001_a.down.sql", "000003_c.up.sql", "000003_c.down.sql"}, "there is no migration 2"},
		{"not from 1", []string{"000002_a.up.sql", "000002_a.down.sql"}, "there is no migration 1"},
		{"same number", []string{"000001_a.up.sql", "000001_a.down.sql", "000001_b.up.sql"}, "two migrations 1"},
		{"no migration", []string{"readme.sql"}, "reading the name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for _, name := range tt.files {
				files[folder+"/"+name] = &fstest.MapFile{}
			}
			if _, err := read(files); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
