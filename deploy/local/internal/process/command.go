package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Command is one program to run: a server to start, or a helper to run to its end.
type Command struct {
	Path    string
	Args    []string
	Env     []string // all of it: nothing is inherited
	Dir     string   // one that the account can enter
	Account Account
	Stdin   string // of a helper
}

// Fingerprint changes when the program, its arguments, its environment or the given configuration do.
func (c Command) Fingerprint(configuration string) (string, error) {
	program, err := os.ReadFile(c.Path)
	if err != nil {
		return "", fmt.Errorf("reading the program: %w", err)
	}
	sum := sha256.New()
	sum.Write(program)
	for _, part := range [][]string{{c.Path}, c.Args, c.Env, {configuration}} {
		fmt.Fprintf(sum, "%q\n", part)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// helperGrace is how long a cancelled helper may take to end after SIGINT.
const helperGrace = 20 * time.Second

// Run runs a helper to its end and returns its standard output. The error holds the last lines of
// its standard error, or of its output where there is no other complaint.
func (c Command) Run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	cmd.Stdin = strings.NewReader(c.Stdin)
	cmd.SysProcAttr = c.Account.attributes()
	// It leads a process group, and its own helpers (compilers, a bootstrapping server) are to end with it.
	// SIGINT, as from a terminal: on SIGTERM the go command leaves its temporary files behind.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = helperGrace
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		said := complaints.String()
		if strings.TrimSpace(said) == "" {
			said = out.String()
		}
		return out.String(), fmt.Errorf("running %s: %w\n%s", c.Path, err, indent(lastLines(said, 20)))
	}
	return out.String(), nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ")
}
