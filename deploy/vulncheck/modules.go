package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// modules returns the folders of the Go modules under the root, relative to it, in the order of
// their names. It leaves out what the repository does not hold: hidden folders, built programs and
// packages of other languages, and the modules that tests have as their data.
func modules(root string) (dirs []string, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "node_modules" || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if name == "go.mod" {
			dir, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			dirs = append(dirs, dir)
		}
		return nil
	})
	return dirs, err
}

// hasPackages reports whether the module has code of its own.
func hasPackages(ctx context.Context, dir string) (bool, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "./...")
	cmd.Dir, cmd.Env = dir, environ()
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return false, fmt.Errorf("listing the packages: %w\n%s", err, &problems)
	}
	return len(out) > 0, nil
}

// tools returns the packages of the tools that the go.mod of the module names.
func tools(dir string) (packages []string, err error) {
	path := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(path, text, nil)
	if err != nil {
		return nil, err
	}
	for _, tool := range file.Tool {
		packages = append(packages, tool.Path)
	}
	return packages, nil
}
