package testbed

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/jobstore"
)

// Servers are the servers of a local stack that belongs to the test alone, and the programs of the
// product, built from the present sources.
type Servers struct {
	t    testing.TB
	root string // of the repository
	name string // of the stack
	bin  string // folder of the programs
	Env  map[string]string
}

// stackTimeout bounds a command of the stack: the first one builds and installs.
const stackTimeout = 10 * time.Minute

// Up brings the named stack up, fills its databases, builds the product, and stops the stack when
// the test ends. The addresses and credentials of the servers are put into the process environment,
// where package stacktest looks first.
func Up(t testing.TB, name string) *Servers {
	t.Helper()
	s := &Servers{t: t, root: repository(t), name: name, bin: t.TempDir()}
	s.build()
	t.Cleanup(func() { s.stack("down") })
	s.stack("up", "-servers")
	jobstore.LogClient(slog.New(slog.DiscardHandler)) // that its server is away now and then is what it is here for
	s.enter(filepath.Join(name, "env"))
	s.fill()
	return s
}

// Join builds the product and returns the servers of the local stack, which serve others too: they
// cannot be stopped, and hold none of the test's datasets. The test is skipped under -short.
func Join(t testing.TB) *Servers {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the local stack's servers: left out by -short")
	}
	s := &Servers{t: t, root: repository(t), name: "joined", bin: t.TempDir()}
	s.build()
	s.enter("env")
	return s
}

// build builds the product.
func (s *Servers) build() {
	s.t.Helper()
	s.run("building the product", "go", "build", "-o", s.bin+"/", "./gateway/cmd/gateway",
		"./workers/cmd/mongodb", "./workers/cmd/mysql", "./workers/cmd/postgresql")
}

// enter reads what a stack says of its servers in a file of .local, for the test's own eyes as well.
func (s *Servers) enter(file string) {
	s.t.Helper()
	s.Env = s.readEnv(file)
	env := s.t.(interface{ Setenv(name, value string) })
	for name, value := range s.Env {
		env.Setenv(name, value)
	}
}

// module is the first line of the go.mod at the top of the repository; other modules lie below it.
const module = "module github.com/pharmavida/ingesta\n"

func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(text), module) {
			return dir
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		t.Fatal("not within the repository")
	}
}

// With returns these servers with other variables, such as the address of another Redis.
func (s *Servers) With(env map[string]string) *Servers {
	other := *s
	other.Env = maps.Clone(s.Env)
	maps.Copy(other.Env, env)
	return &other
}

// Local returns the path of a file in .local of the repository.
func (s *Servers) Local(name string) string { return filepath.Join(s.root, ".local", name) }

// Build builds a program of the repository beside the product's and returns its path.
func (s *Servers) Build(pkg string) string {
	s.t.Helper()
	s.run("building "+pkg, "go", "build", "-o", s.bin+"/", pkg)
	return filepath.Join(s.bin, filepath.Base(pkg))
}

// Stop ends servers of the stack in an orderly way.
func (s *Servers) Stop(servers ...string) { s.t.Helper(); s.stack("stop", servers...) }

// Kill ends servers by kill -9.
func (s *Servers) Kill(servers ...string) { s.t.Helper(); s.stack("kill", servers...) }

// Start starts servers that were stopped or killed, and returns when they serve.
func (s *Servers) Start(servers ...string) { s.t.Helper(); s.stack("start", servers...) }

// Freeze stops a server in its tracks until the returned function lets it go on, which it also does
// when the test ends.
func (s *Servers) Freeze(t testing.TB, server string) (thaw func()) {
	t.Helper()
	pid := s.pid(server)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatalf("freezing %s: %v", server, err)
	}
	thaw = func() { _ = syscall.Kill(pid, syscall.SIGCONT) } // once more than needed does no harm
	t.Cleanup(thaw)
	return thaw
}

// Rabbit runs rabbitmqctl on the stack's broker and returns what it prints.
func (s *Servers) Rabbit(args ...string) string {
	s.t.Helper()
	cmd := s.command(s.Env["LOCAL_RABBITMQ_CTL"], append([]string{"-q", "-n", s.Env["LOCAL_RABBITMQ_NODENAME"]}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+s.Env["LOCAL_RABBITMQ_HOME"], "ERL_EPMD_PORT="+s.Env["LOCAL_RABBITMQ_EPMD_PORT"])
	return s.output("rabbitmqctl "+strings.Join(args, " "), cmd)
}

// pid returns the process id of a server.
func (s *Servers) pid(server string) int {
	s.t.Helper()
	for line := range strings.Lines(s.stack("status")) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == server {
			pid, err := strconv.Atoi(fields[2])
			if err != nil {
				s.t.Fatalf("%s does not run: %s", server, line)
			}
			return pid
		}
	}
	s.t.Fatalf("the stack has no server %q", server)
	return 0
}

// stack runs a command of the stack.
func (s *Servers) stack(command string, operands ...string) string {
	s.t.Helper()
	args := append([]string{"-root", s.root, "-name", s.name, command}, operands...)
	return s.run("stack "+command, filepath.Join(s.root, "bin", "local", "stack"), args...)
}

func (s *Servers) run(doing, program string, args ...string) string {
	s.t.Helper()
	return s.output(doing, s.command(program, args...))
}

func (s *Servers) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = s.root
	return cmd
}

// output runs the command, within stackTimeout, and returns its standard output.
func (s *Servers) output(doing string, cmd *exec.Cmd) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stackTimeout)
	defer cancel()
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bounded.Dir, bounded.Env = cmd.Dir, cmd.Env
	var out, problems bytes.Buffer
	bounded.Stdout, bounded.Stderr = &out, &problems
	if err := bounded.Run(); err != nil {
		s.t.Fatalf("%s: %v\n%s%s", doing, err, &out, &problems)
	}
	return out.String()
}

// readEnv reads what a stack says of its servers.
func (s *Servers) readEnv(name string) map[string]string {
	s.t.Helper()
	file, err := os.Open(s.Local(name))
	if err != nil {
		s.t.Fatal(err)
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
		s.t.Fatal(err)
	}
	return env
}

// environ returns the environment of a program in the stack, in the form of os.Environ.
func (s *Servers) environ(override ...string) []string {
	environ := os.Environ()
	for name, value := range s.Env {
		environ = append(environ, name+"="+value)
	}
	return append(environ, override...)
}

// address returns host and port of a server, by the prefix of its variables.
func (s *Servers) address(prefix string) string {
	return fmt.Sprintf("%s:%s", s.Env[prefix+"_HOST"], s.Env[prefix+"_PORT"])
}
