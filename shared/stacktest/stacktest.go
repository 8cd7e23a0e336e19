// Package stacktest gives integration tests the addresses and credentials of the local stack.
//
// It reads the process environment first, then the file .local/env that `make up` writes at the
// top of the repository. It starts no server: tests share those of the stack, and each works in a
// virtual host, key prefix, bucket or database of its own (see Isolate).
package stacktest

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/config"
)

// Env returns the value of a variable of the local stack. It skips the test under -short and
// fails it when the stack was never started.
func Env(t testing.TB, name string) string {
	t.Helper()
	if value, ok := os.LookupEnv(name); ok {
		return value
	}
	value, ok := stack(t)[name]
	if !ok {
		t.Fatalf("%s is neither in the environment nor in .local/env: run `make up`", name)
	}
	return value
}

// Environ returns the environment of a program started in the local stack's, in the form of
// os.Environ. Pairs of the form "NAME=value" in override win over both the process environment and
// the stack's.
func Environ(t testing.TB, override ...string) []string {
	t.Helper()
	var environ []string
	for name, value := range stack(t) {
		environ = append(environ, name+"="+value)
	}
	return append(append(environ, os.Environ()...), override...)
}

// Load fills cfg as a program started in that environment would, see Environ.
func Load(t testing.TB, cfg any, override ...string) {
	t.Helper()
	if _, err := config.Load(cfg, Environ(t, override...)); err != nil {
		t.Fatalf("loading the configuration of the local stack: %v", err)
	}
}

// stack reads .local/env.
func stack(t testing.TB) map[string]string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the local stack's servers: left out by -short")
	}
	path := find(t)
	file, err := os.Open(path)
	if err != nil {
		t.Fatalf("reading the local stack's environment: %v", err)
	}
	defer file.Close()
	vars := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if ok && !strings.HasPrefix(name, "#") {
			vars[name] = unquote(value)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
	return vars
}

// find returns the path of .local/env beside the go.mod of the repository.
func find(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("finding the repository: %v", err)
	}
	for {
		path := filepath.Join(dir, ".local", "env")
		if _, err := os.Stat(path); err == nil {
			return path
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("finding the local stack's environment: %v", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("the local stack was never started here: run `make up`, or `go test -short` to leave its tests out")
		}
		dir = parent
	}
}

// unquote undoes the single quotes a shell would.
func unquote(value string) string {
	if inner, ok := strings.CutPrefix(value, "'"); ok && strings.HasSuffix(inner, "'") {
		return strings.ReplaceAll(strings.TrimSuffix(inner, "'"), `'\''`, "'")
	}
	return value
}
