package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pharmavida/ingesta/gateway/auth/authtest"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// asProgram is a variable that makes the test's binary the program itself.
const asProgram = "GATEWAY_ITSELF"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

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
		{"good configuration", []string{"--check-config"}, []string{"AUTH_MODE=none"}, program.ExitOK, "the configuration is valid\n", ""},
		{"nothing is said of auth", nil, nil, program.ExitUsage, "", "AUTH_MODE is not set"},
		{"bad value", []string{"--check-config"}, []string{"GATEWAY_PORT=high"}, program.ExitUsage, "", "GATEWAY_PORT"},
		{"bad catalog", []string{"--check-config"}, []string{"CATALOG_FILE=" + broken}, program.ExitUsage, "", "CATALOG_FILE"},
		{"bad value when serving", nil, []string{"GATEWAY_PORT=high"}, program.ExitUsage, "", "the configuration is wrong"},
		{"bad catalog when serving", nil, []string{"AUTH_MODE=none", "CATALOG_FILE=" + broken, "GATEWAY_PORT=0"}, program.ExitUsage, "", "CATALOG_FILE"},
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

// In production a gateway starts that asks for tokens, with nothing but its environment set: here
// with an issuer over https. The stack's passwords are samples, so it gets a Redis and a login to
// RabbitMQ of its own.
func TestProduction(t *testing.T) {
	const password = "of-this-test-alone"
	issuer := authtest.NewTLS(t)
	settings := stacktest.Isolate(t)
	vhost := strings.TrimPrefix(settings[0], "RABBITMQ_VHOST=")
	stacktest.Management(t, "PUT", "/api/users/"+vhost, map[string]string{"password": password, "tags": ""}, nil)
	t.Cleanup(func() { stacktest.Management(t, "DELETE", "/api/users/"+vhost, nil, nil) })
	stacktest.Management(t, "PUT", "/api/permissions/"+vhost+"/"+vhost, map[string]string{"configure": ".*", "write": ".*", "read": ".*"}, nil)
	redis, port := strconv.Itoa(stacktest.FreePort(t)), strconv.Itoa(stacktest.FreePort(t))
	launch(t, "redis-server", nil, "--port", redis, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--requirepass", password, "--appendonly", "yes")

	environ := slices.Concat(stacktest.Environ(t, settings...), issuer.Environ(), []string{
		asProgram + "=yes", "INGESTA_ENV=production", "GATEWAY_HOST=127.0.0.1", "GATEWAY_PORT=" + port,
		"RABBITMQ_USER=" + vhost, "RABBITMQ_PASSWORD=" + password, "REDIS_HOST=127.0.0.1", "REDIS_PORT=" + redis, "REDIS_PASSWORD=" + password,
	})
	gateway, ended := launch(t, os.Args[0], environ)
	ask := func(method, path, token string) int {
		r, err := http.NewRequest(method, "http://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0
		}
		response.Body.Close()
		return response.StatusCode
	}
	stacktest.Eventually(t, "the gateway is ready", func() bool {
		select {
		case <-ended:
			t.Fatal("the gateway has ended")
		default:
		}
		return ask("GET", "/ready", "") == http.StatusOK
	})
	if got := ask("POST", "/api/ingesta/mysql", ""); got != http.StatusUnauthorized {
		t.Errorf("a stranger got %d", got)
	}
	if got := ask("POST", "/api/ingesta/mysql", issuer.RS256(issuer.Claims("ana", "ingesta:run"))); got != http.StatusAccepted {
		t.Errorf("a caller with a token got %d", got)
	}
	if err := gateway.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := gateway.ProcessState.ExitCode(); code != program.ExitOK {
		t.Errorf("the gateway ended with %d", code)
	}
}

// launch starts a process that ends with the test at the latest.
func launch(t *testing.T, name string, environ []string, args ...string) (process *exec.Cmd, ended <-chan struct{}) {
	t.Helper()
	var output bytes.Buffer // complete once the process has ended
	process = exec.Command(name, args...)
	process.Env, process.Stdout, process.Stderr = environ, &output, &output
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		t.Fatalf("starting %s (make up installs the servers): %v", name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = process.Wait() // how it ended shows in ProcessState
	}()
	t.Cleanup(func() {
		_ = process.Process.Kill() // unless it has ended
		<-done
		if t.Failed() {
			t.Logf("%s said:\n%s", name, &output)
		}
	})
	return process, done
}
