package program

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

type sample struct {
	Port int `env:"SAMPLE_PORT" envDefault:"80"`
}

func (c sample) Validate() error {
	if c.Port > 65535 {
		return errors.New("SAMPLE_PORT is no port")
	}
	return nil
}

func TestExecute(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		environ []string
		code    int
		stdout  string
		stderr  []string // parts of it
	}{
		{"runs", nil, nil, ExitOK, "ran on 80 as anyone\n", nil},
		{"with a flag of its own", []string{"--name=ana"}, []string{"SAMPLE_PORT=81"}, ExitOK, "ran on 81 as ana\n", nil},
		{"fails", []string{"--name=failure"}, nil, ExitError, "", []string{`"service":"sample"`, "nothing works today"}},
		{"warns", nil, []string{"INGESTA_DEFAULT_WIAT=1s"}, ExitOK, "ran on 80 as anyone\n", []string{"INGESTA_DEFAULT_WIAT"}},
		{"version", []string{"--version"}, nil, ExitOK, "dev\n", nil},
		{"help", []string{"--help"}, nil, ExitOK, "", []string{"A sample.", ".env.example", "-check-config", "-name"}},
		{"unknown flag", []string{"--port=1"}, nil, ExitUsage, "", []string{"-port"}},
		{"argument", []string{"start"}, nil, ExitUsage, "", []string{`unexpected argument "start"`}},
		{"valid", []string{"--check-config"}, nil, ExitOK, "the configuration is valid\n", nil},
		{"everything at once", []string{"--check-config"}, []string{"SAMPLE_PORT=70000", "INGESTA_DEFAULT_WIAT=1s"}, ExitUsage, "", []string{"SAMPLE_PORT", "INGESTA_DEFAULT_WIAT"}},
		{"refused by the program", []string{"--check-config"}, []string{"SAMPLE_PORT=1"}, ExitUsage, "", []string{"1 is taken"}},
		{"refused by the program and before", []string{"--check-config"}, []string{"SAMPLE_PORT=1", "LOG_FORMAT=xml"}, ExitUsage, "", []string{"1 is taken", "LOG_FORMAT"}},
		{"refused by the program when running", nil, []string{"SAMPLE_PORT=1"}, ExitUsage, "", []string{"the configuration is wrong: 1 is taken"}},
		{"log settings", nil, []string{"LOG_FORMAT=xml"}, ExitUsage, "", []string{"LOG_FORMAT"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			name := "anyone"
			p := Program[sample]{
				Name: "sample", About: "A sample.",
				Flags: func(flags *flag.FlagSet) { flags.StringVar(&name, "name", name, "who runs it") },
				Check: func(cfg sample) error {
					if cfg.Port == 1 {
						return errors.New("1 is taken")
					}
					return nil
				},
				Run: func(_ context.Context, cfg sample, _ *slog.Logger) error {
					if name == "failure" {
						return errors.New("nothing works today")
					}
					_, err := stdout.WriteString("ran on " + strconv.Itoa(cfg.Port) + " as " + name + "\n")
					return err
				},
			}
			code := p.Execute(t.Context(), Process{Args: test.args, Environ: test.environ, Stdout: &stdout, Stderr: &stderr})
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

// The listener is a real one, as of a program that runs beside the one that asks.
func TestHealthcheck(t *testing.T) {
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			status.Store(http.StatusNotFound)
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(host string) (code int, stderr string) {
		var said bytes.Buffer
		p := Program[sample]{
			Name: "sample", About: "A sample.",
			Check:   func(sample) error { return nil },
			Address: func(cfg sample) string { return net.JoinHostPort(host, strconv.Itoa(cfg.Port)) },
			Run: func(context.Context, sample, *slog.Logger) error {
				return errors.New("--healthcheck must not run the program")
			},
		}
		code = p.Execute(t.Context(), Process{Args: []string{"--healthcheck"}, Environ: []string{"SAMPLE_PORT=" + port}, Stdout: io.Discard, Stderr: &said})
		return code, said.String()
	}
	for _, host := range []string{"127.0.0.1", "", "0.0.0.0"} {
		status.Store(http.StatusOK)
		if code, stderr := ask(host); code != ExitOK || stderr != "" {
			t.Errorf("listening on %q and alive: exit %d, %q; want 0 and nothing", host, code, stderr)
		}
	}
	status.Store(http.StatusServiceUnavailable)
	if code, stderr := ask(""); code != ExitError || !strings.Contains(stderr, "503") {
		t.Errorf("answers 503: exit %d, %q; want 1 and the status", code, stderr)
	}
	server.Close()
	if code, stderr := ask(""); code != ExitError || !strings.Contains(stderr, "refused") {
		t.Errorf("does not run: exit %d, %q; want 1 and the reason", code, stderr)
	}
}

func TestGetenv(t *testing.T) {
	p := Process{Environ: []string{"A=1", "AB=2", "A=3", "C="}}
	for name, want := range map[string]string{"A": "3", "AB": "2", "C": "", "B": ""} {
		if got := p.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !p.AnySet("A") || !p.AnySet("C") || p.AnySet("B") {
		t.Error("the variables that are set begin with A, AB and C")
	}
}
