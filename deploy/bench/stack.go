package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stackName is the local stack that belongs to the benchmark alone.
const stackName = "bench"

// stack is the benchmark's servers.
type stack struct {
	root string            // of the repository
	dir  string            // what goes with the stack: its addresses, logs, programs
	env  map[string]string // addresses and credentials, once it is up
	out  io.Writer
}

func newStack(root string, out io.Writer) *stack {
	return &stack{root: root, dir: filepath.Join(root, ".local", stackName), out: out}
}

// up starts the servers that do not run, and reads where they are.
func (s *stack) up(ctx context.Context) error {
	if err := s.tool(ctx, "-name", stackName, "up", "-servers"); err != nil {
		return fmt.Errorf("starting the servers: %w", err)
	}
	var err error
	s.env, err = readEnv(s.local("env"))
	return err
}

// down stops them.
func (s *stack) down(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	if err := s.tool(ctx, "-name", stackName, "down"); err != nil {
		return fmt.Errorf("stopping the servers: %w", err)
	}
	return nil
}

// local returns the path of a file that goes with the stack.
func (s *stack) local(name string) string { return filepath.Join(s.dir, name) }

// address returns host and port of a server, by the prefix of its variables.
func (s *stack) address(prefix string) string {
	return net.JoinHostPort(s.env[prefix+"_HOST"], s.env[prefix+"_PORT"])
}

// environ returns the environment of a program among the servers, in the form of os.Environ. Of the
// caller's own it has what every program needs and what changes the product's settings.
func (s *stack) environ(override ...string) []string {
	var environ []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if name == "PATH" || name == "HOME" || strings.HasPrefix(name, "INGESTA_") {
			environ = append(environ, variable)
		}
	}
	for name, value := range s.env {
		environ = append(environ, name+"="+value)
	}
	return append(environ, override...)
}

// debian tells by a path whether a package is installed.
var debian = map[string]string{
	"awscli":             "/usr/bin/aws",
	"python3-pandas":     "/usr/lib/python3/dist-packages/pandas",
	"python3-sqlalchemy": "/usr/lib/python3/dist-packages/sqlalchemy",
	"python3-psycopg2":   "/usr/lib/python3/dist-packages/psycopg2",
	"python3-pymysql":    "/usr/lib/python3/dist-packages/pymysql",
	"python3-boto3":      "/usr/lib/python3/dist-packages/boto3",
}

// install installs those of the packages that are missing.
func (s *stack) install(ctx context.Context, packages []string) error {
	var missing []string
	for _, name := range packages {
		if _, err := os.Stat(debian[name]); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fmt.Fprintln(s.out, "installing", strings.Join(missing, " "))
	if err := s.tool(ctx, append([]string{"install-packages"}, missing...)...); err != nil {
		return fmt.Errorf("installing packages (as root: apt-get install --no-install-recommends %s): %w", strings.Join(missing, " "), err)
	}
	return nil
}

// tool runs the local stack's own command, as root where that takes it.
func (s *stack) tool(ctx context.Context, args ...string) error {
	args = append([]string{filepath.Join(s.root, "bin", "local", "stack"), "-root", s.root}, args...)
	if args[3] == "install-packages" && os.Geteuid() != 0 {
		args = append([]string{"sudo"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, s.out, s.out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// readEnv reads the variables that the stack writes for a shell.
func readEnv(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the servers' addresses: %w", err)
	}
	defer file.Close()
	env := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(name, "#") {
			env[name] = strings.Trim(value, "'")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the servers' addresses: %w", err)
	}
	return env, nil
}
