package workers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/workers/engine"
)

// settings are those of a source that no test reaches.
type settings struct {
	Port int `env:"SOURCE_MYSQL_PORT" envDefault:"3306"`
}

func (c settings) Validate() error {
	if c.Port == 0 {
		return errors.New("SOURCE_MYSQL_PORT is no port")
	}
	return nil
}

type unreachable struct{}

func (unreachable) Ping(context.Context) error { return errors.New("unreachable") }
func (unreachable) Open(context.Context) (engine.Session, error) {
	return nil, errors.New("unreachable")
}

func TestArguments(t *testing.T) {
	other := filepath.Join(t.TempDir(), "datasets.yaml")
	if err := os.WriteFile(other, []byte("version: 1\ndatabases:\n  - name: oracle\n    datasets:\n      - {name: users, table: users}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	masked := filepath.Join(t.TempDir(), "datasets.yaml")
	if err := os.WriteFile(masked, []byte("version: 1\ndatabases:\n  - name: mysql\n    datasets:\n      - {name: users, table: users, columns: [{name: dni, mask: hash}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		args    []string
		environ []string
		code    int
		stdout  string
		stderr  []string // parts of it
	}{
		{"help", []string{"--help"}, nil, program.ExitOK, "", []string{"Consumes the commands for mysql", "worker-mysql run --help"}},
		{"help of run", []string{"run", "--help"}, nil, program.ExitOK, "", []string{"without broker and Redis", "-dataset"}},
		{"valid", []string{"--check-config"}, nil, program.ExitOK, "the configuration is valid\n", nil},
		{"everything at once", []string{"--check-config"},
			[]string{"SOURCE_MYSQL_PORT=0", "WORKER_PORT=70000", "INGESTA_LEASE=20s", "INGESTA_GRACE=-1s", "INGESTA_S3_ATTEMPTS=0", "INGESTA_UPLOAD_PARALLEL=0"},
			program.ExitUsage, "", []string{"SOURCE_MYSQL_PORT", "WORKER_PORT", "INGESTA_LEASE_GIVE_UP (30s) must be shorter than INGESTA_LEASE (20s)", "INGESTA_GRACE", "INGESTA_S3_ATTEMPTS", "INGESTA_UPLOAD_PARALLEL"}},
		{"a catalog of other databases", []string{"--check-config"}, []string{"CATALOG_FILE=" + other}, program.ExitUsage, "", []string{`no database "mysql"`}},
		{"the same when serving", nil, []string{"CATALOG_FILE=" + other}, program.ExitUsage, "", []string{`no database "mysql"`}},
		{"a hash without salt", []string{"--check-config"}, []string{"CATALOG_FILE=" + masked}, program.ExitUsage, "", []string{"INGESTA_MASK_SALT: the salt is not set", "dni of mysql/users"}},
		{"a hash without salt, once", []string{"run"}, []string{"CATALOG_FILE=" + masked}, program.ExitUsage, "", []string{"INGESTA_MASK_SALT: the salt is not set"}},
		{"a hash with salt", []string{"--check-config"}, []string{"CATALOG_FILE=" + masked, "INGESTA_MASK_SALT=sixteen bytes..."}, program.ExitOK, "the configuration is valid\n", nil},
		{"unknown dataset", []string{"run", "--dataset", "usuarios"}, nil, program.ExitUsage, "", []string{"choose from users, compras"}},
		{"key template", []string{"run"}, []string{"INGESTA_KEY_TEMPLATE={database}/{object}.csv"}, program.ExitUsage, "", []string{"lacks {stamp}"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			process := program.Process{
				Args: test.args, Environ: append([]string{"AWS_BUCKET_NAME=lake"}, test.environ...), Stdout: &stdout, Stderr: &stderr,
			}
			code := run(t.Context(), process, ingest.MySQL, func(settings, *slog.Logger) (unreachable, error) { return unreachable{}, nil })
			if code != test.code || stdout.String() != test.stdout {
				t.Errorf("exit %d and %q; want %d and %q; stderr: %s", code, &stdout, test.code, test.stdout, &stderr)
			}
			for _, part := range test.stderr {
				if !strings.Contains(stderr.String(), part) {
					t.Errorf("stderr %q does not say %q", &stderr, part)
				}
			}
		})
	}
}

// The memory for uploads lies outside Go's heap: both ways to run a worker say so.
func TestUploadsAreReserved(t *testing.T) {
	for _, args := range [][]string{nil, {"run"}} {
		var stderr bytes.Buffer
		process := program.Process{
			Args: args, Environ: []string{"AWS_BUCKET_NAME=lake", "INGESTA_UPLOAD_MEMORY=17MiB"}, Stdout: &bytes.Buffer{}, Stderr: &stderr,
		}
		refuse := func(settings, *slog.Logger) (unreachable, error) { return unreachable{}, errors.New("no source today") }
		if code := run(t.Context(), process, ingest.MySQL, refuse); code != program.ExitError {
			t.Errorf("%q: exit %d, want %d; stderr: %s", args, code, program.ExitError, &stderr)
		}
		if !strings.Contains(stderr.String(), `"reserved_bytes":17825792`) {
			t.Errorf("%q: stderr %s does not tell of 17 MiB", args, &stderr)
		}
	}
}
