package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type server struct {
	Host     string `env:"SOURCE_MYSQL_HOST" envDefault:"localhost"`
	Port     int    `env:"SOURCE_MYSQL_PORT" envDefault:"3306"`
	Password Secret `env:"SOURCE_MYSQL_PASSWORD,required"`
	URI      Secret `env:"MONGO_URI"`
	URL      Secret `env:"DATABASE_URL"`
}

func (s server) Validate() error {
	var problems []error
	if s.Port > 65535 {
		problems = append(problems, errors.New("SOURCE_MYSQL_PORT is no port"))
	}
	if s.Password == "" {
		problems = append(problems, errors.New("SOURCE_MYSQL_PASSWORD is empty"))
	}
	return errors.Join(problems...)
}

type sample struct {
	Mode   Mode          `env:"INGESTA_ENV" envDefault:"development"`
	Lease  time.Duration `env:"INGESTA_LEASE" envDefault:"45s"`
	Server server
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		environ []string
		want    string // host:port password lease
		errors  []string
	}{
		{"defaults", []string{"SOURCE_MYSQL_PASSWORD=x"}, "localhost:3306 x 45s", nil},
		{"fallback", []string{"MYSQL_HOST=db", "MYSQL_PASSWORD=x"}, "db:3306 x 45s", nil},
		{"own name wins", []string{"MYSQL_HOST=db", "SOURCE_MYSQL_HOST=src", "MYSQL_PASSWORD=x"}, "src:3306 x 45s", nil},
		{"file", []string{"SOURCE_MYSQL_PASSWORD_FILE=" + file}, "localhost:3306 from a file 45s", nil},
		{"file of the fallback", []string{"MYSQL_PASSWORD_FILE=" + file}, "localhost:3306 from a file 45s", nil},
		{"value and file", []string{"SOURCE_MYSQL_PASSWORD=x", "SOURCE_MYSQL_PASSWORD_FILE=" + file}, "", []string{"SOURCE_MYSQL_PASSWORD and SOURCE_MYSQL_PASSWORD_FILE are both set"}},
		{"file that is not there", []string{"SOURCE_MYSQL_PASSWORD_FILE=" + dir + "/none"}, "", []string{"SOURCE_MYSQL_PASSWORD_FILE: "}},
		{"missing", nil, "", []string{"SOURCE_MYSQL_PASSWORD (or MYSQL_PASSWORD) is required and not set"}},
		{"everything at once", []string{"SOURCE_MYSQL_PORT=many", "INGESTA_LEASE=long", "INGESTA_ENV=prod"}, "",
			[]string{"is required and not set", "SOURCE_MYSQL_PORT: ", "INGESTA_LEASE: ", "INGESTA_ENV: ", `"prod"`}},
		{"what can be read is validated", []string{"INGESTA_LEASE=long", "SOURCE_MYSQL_PORT=70000"}, "",
			[]string{"INGESTA_LEASE: ", "is required and not set", "SOURCE_MYSQL_PORT is no port"}},
		{"validation", []string{"SOURCE_MYSQL_PASSWORD=x", "SOURCE_MYSQL_PORT=70000"}, "", []string{"SOURCE_MYSQL_PORT is no port"}},
		{"sample password in production", []string{"INGESTA_ENV=production", "SOURCE_MYSQL_PASSWORD=pharmavida123"}, "", []string{"SOURCE_MYSQL_PASSWORD is a sample password"}},
		{"sample password in an address", []string{"INGESTA_ENV=production", "SOURCE_MYSQL_PASSWORD=k9", "MONGO_URI=mongodb://admin:pharmavida123@a:1,b:2/x"}, "", []string{"MONGO_URI holds a sample password"}},
		{"own password in an address", []string{"INGESTA_ENV=production", "SOURCE_MYSQL_PASSWORD=k9", "MONGO_URI=mongodb://admin:k9@a:1,b:2/x"}, "localhost:3306 k9 45s", nil},
		{"sample password in a URL", []string{"INGESTA_ENV=production", "SOURCE_MYSQL_PASSWORD=k9", "DATABASE_URL=mysql+pymysql://u:pharmavida123@h:3306/d"}, "", []string{"DATABASE_URL holds a sample password"}},
		{"sample password with escapes", []string{"INGESTA_ENV=production", "SOURCE_MYSQL_PASSWORD=k9", "DATABASE_URL=mysql://u:flowlite%5Fpassword@h/d"}, "", []string{"DATABASE_URL holds a sample password"}},
		{"own password in a URL", []string{"INGESTA_ENV=production", "SOURCE_MYSQL_PASSWORD=k9", "DATABASE_URL=mysql://u:k9%2F@h/d"}, "localhost:3306 k9 45s", nil},
		{"sample password by fallback", []string{"INGESTA_ENV=production", "MYSQL_PASSWORD=pharmavida123"}, "", []string{"is a sample password"}},
		{"own password in production", []string{"INGESTA_ENV=production", "SOURCE_MYSQL_PASSWORD=k9"}, "localhost:3306 k9 45s", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var cfg sample
			_, err := Load(&cfg, tt.environ)
			if len(tt.errors) == 0 && err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.errors {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %s", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "pharmavida123") {
				t.Errorf("the error shows a password: %v", err)
			}
			if got := fmt.Sprintf("%s:%d %s %v", cfg.Server.Host, cfg.Server.Port, cfg.Server.Password.Reveal(), cfg.Lease); tt.want != "" && got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A variable is complained of once: what stands in for its value is nobody's mistake.
func TestUnreadVariablesAreNotValidated(t *testing.T) {
	var cfg sample
	_, err := Load(&cfg, []string{"SOURCE_MYSQL_PORT=many"})
	want := "SOURCE_MYSQL_PASSWORD (or MYSQL_PASSWORD) is required and not set\nSOURCE_MYSQL_PORT: "
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v\nwant %s…", err, want)
	}
}

func TestUnknownVariablesAreReported(t *testing.T) {
	var cfg sample
	warnings, err := Load(&cfg, []string{"SOURCE_MYSQL_PASSWORD=x", "INGESTA_LAESE=1s", "INGESTA_ENV_FILE=", "PATH=/bin"})
	if err == nil { // INGESTA_ENV_FILE names no file
		t.Error("an unreadable INGESTA_ENV_FILE was accepted")
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "INGESTA_LAESE") {
		t.Errorf("got warnings %q, want one about INGESTA_LAESE", warnings)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	s := server{Password: "s3cret"}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cfg", s, "password", s.Password)
	shown := fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.Password, s.Password) + string(encoded) + log.String()
	if strings.Contains(shown, "s3cret") {
		t.Errorf("a secret is shown: %s", shown)
	}
	if !strings.Contains(shown, redacted) {
		t.Errorf("nothing tells that a secret is set: %s", shown)
	}
}
