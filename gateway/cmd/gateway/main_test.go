package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		{"version", []string{"--version"}, nil, exitOK, "dev\n", ""},
		{"help", []string{"--help"}, nil, exitOK, "", "Serves the HTTP API"},
		{"unknown flag", []string{"--port=1"}, nil, exitUsage, "", "port"},
		{"argument", []string{"start"}, nil, exitUsage, "", `unexpected argument "start"`},
		{"good configuration", []string{"--check-config"}, nil, exitOK, "the configuration is valid\n", ""},
		{"typing error", []string{"--check-config"}, []string{"INGESTA_DEFAULT_WIAT=1s"}, exitUsage, "", "INGESTA_DEFAULT_WIAT"},
		{"bad value", []string{"--check-config"}, []string{"GATEWAY_PORT=high"}, exitUsage, "", "GATEWAY_PORT"},
		{"bad catalog", []string{"--check-config"}, []string{"CATALOG_FILE=" + broken}, exitUsage, "", "CATALOG_FILE"},
		{"bad value when serving", nil, []string{"GATEWAY_PORT=high"}, exitUsage, "", "the configuration is wrong"},
		{"bad catalog when serving", nil, []string{"CATALOG_FILE=" + broken, "GATEWAY_PORT=0"}, exitError, "", "loading the catalog"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), tt.args, tt.environ, &stdout, &stderr)
			if code != tt.code || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q; want %d, %q, and %q in it", code, &stdout, &stderr, tt.code, tt.stdout, tt.stderr)
			}
		})
	}
}
