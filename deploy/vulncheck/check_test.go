package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The check fails on what the code calls, and on that alone.
func TestCheck(t *testing.T) {
	tests := []struct {
		name, program, symbol string
		found                 bool
	}{
		{"called", `package main; import "path"; func main() { _ = path.Clean("a") }`, "Clean", true},
		{"called by a test", `package main; func main() {}`, "Clean", true},
		{"imported", `package main; import "path"; func main() { _ = path.Base("a") }`, "Match", false},
		{"not imported", `package main; func main() {}`, "Match", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "part", "go.mod"), "module example.com/part\n\ngo 1.26\n")
			write(t, filepath.Join(root, "part", "main.go"), tt.program)
			write(t, filepath.Join(root, "part", "main_test.go"), `package main; import ("path"; "testing"); func TestMain(*testing.M) { _ = path.Clean("a") }`)
			var said bytes.Buffer
			err := check(t.Context(), &said, root, database(t, tt.symbol))
			if found := err != nil && strings.Contains(err.Error(), "module part"); found != tt.found || (err != nil) != tt.found {
				t.Errorf("found is %t (%v), want %t:\n%s", found, err, tt.found, &said)
			}
			if named := strings.Contains(said.String(), "GO-2026-0001"); named != tt.found {
				t.Errorf("the report names the vulnerability: %t, want %t:\n%s", named, tt.found, &said)
			}
		})
	}
}

// A module that cannot be checked is no module without findings.
func TestBrokenModule(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.com/broken\n\ngo 1.26\n")
	write(t, filepath.Join(root, "main.go"), "package main; func main() { nobodyKnows() }")
	var said bytes.Buffer
	if err := check(t.Context(), &said, root, database(t, "Clean")); err == nil {
		t.Errorf("a module that does not compile passes:\n%s", &said)
	}
}

// Where the database is out of reach the check says so and does not fail, whatever the code calls.
func TestUnreachableDatabase(t *testing.T) {
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"nobody listens": closed, "no database": refusing.URL} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			if err := check(t.Context(), &said, t.TempDir(), address); err != nil {
				t.Error(err)
			}
			if !strings.Contains(said.String(), "cannot be reached, so nothing was checked") {
				t.Errorf("it says: %s", &said)
			}
		})
	}
}

// Every module of the repository is looked at.
func TestModules(t *testing.T) {
	dirs, err := modules(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".", "deploy/docker", "deploy/lint", "deploy/local", "deploy/readers", "deploy/vulncheck"} {
		if !slices.Contains(dirs, want) {
			t.Errorf("module %s is not among %v", want, dirs)
		}
	}
}

// database serves a database that knows one vulnerability: a function of the standard library's
// package path.
func database(t *testing.T, symbol string) (address string) {
	t.Helper()
	const id, modified = "GO-2026-0001", "2026-01-01T00:00:00Z"
	answers := map[string]any{
		"/index/db.json":      map[string]any{"modified": modified},
		"/index/modules.json": []any{map[string]any{"path": "stdlib", "vulns": []any{map[string]any{"id": id, "modified": modified}}}},
		"/ID/" + id + ".json": map[string]any{
			"schema_version": "1.3.1", "id": id, "modified": modified, "published": modified, "summary": "A test's own", "details": "A test's own",
			"database_specific": map[string]any{"url": "https://example.com/" + id},
			"affected": []any{map[string]any{
				"package": map[string]any{"name": "stdlib", "ecosystem": "Go"},
				"ranges":  []any{map[string]any{"type": "SEMVER", "events": []any{map[string]any{"introduced": "0"}}}},
				"ecosystem_specific": map[string]any{"imports": []any{
					map[string]any{"path": "path", "symbols": []string{symbol}},
				}},
			}},
		},
	}
	dir := t.TempDir()
	for path, answer := range answers {
		text, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, path), string(text))
	}
	return "file://" + dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
