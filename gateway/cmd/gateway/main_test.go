package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/program"
)

func TestArguments(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "datasets.yaml")
	if err := os.WriteFile(broken, []byte("version: 1\ndatabases: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		args    []string
		environ []string
		code    int
		stdout  string
		stderr  string // part of it
	}{
		{"help", []string{"--help"}, nil, program.ExitOK, "", "Serves the HTTP API"},
		{"good configuration", []string{"--check-config"}, nil, program.ExitOK, "the configuration is valid\n", ""},
		{"bad value", []string{"--check-config"}, []string{"GATEWAY_PORT=high"}, program.ExitUsage, "", "GATEWAY_PORT"},
		{"bad catalog", []string{"--check-config"}, []string{"CATALOG_FILE=" + broken}, program.ExitUsage, "", "CATALOG_FILE"},
		{"bad value when serving", nil, []string{"GATEWAY_PORT=high"}, program.ExitUsage, "", "the configuration is wrong"},
		{"bad catalog when serving", nil, []string{"CATALOG_FILE=" + broken, "GATEWAY_PORT=0"}, program.ExitUsage, "", "CATALOG_FILE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), program.Process{Args: tt.args, Environ: tt.environ, Stdout: &stdout, Stderr: &stderr})
			if code != tt.code || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q; want %d, %q, and %q in it", code, &stdout, &stderr, tt.code, tt.stdout, tt.stderr)
			}
		})
	}
}
