package envfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The shell is the judge: what it reads back must be what was written.
func TestAShellReadsBackWhatWasWritten(t *testing.T) {
	entries := []Entry{
		Comment("first line\nsecond line $(touch /nonexistent/x)"),
		{"PLAIN", "mysql+pymysql://user:pass@127.0.0.1:18306/db"},
		{"EMPTY", ""},
		{"BLANKS", "  two  words "},
		{"QUOTES", `it's "quoted" 'twice'`},
		{"EXPANSIONS", "$HOME `id` $(id) \\ ${X} ! ~ * # ;&|<>"},
		{"LINES", "one\ntwo\n"},
		{"SPANISH", "Ñandú €uro 💊"},
		{"TILDE", "~/x"},
	}
	path := filepath.Join(t.TempDir(), "env")
	if err := Write(path, entries); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600: it holds passwords", info.Mode().Perm())
	}

	shell := exec.Command("/bin/sh", "-c", `set -a; . "$0"; exec env -0`, path)
	shell.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for variable := range strings.SplitSeq(string(out), "\x00") {
		name, value, _ := strings.Cut(variable, "=")
		got[name] = value
	}
	for _, e := range entries {
		if e.Key != "" && got[e.Key] != e.Value {
			t.Errorf("%s reads back as %q, want %q", e.Key, got[e.Key], e.Value)
		}
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, e := range []Entry{{"1A", "x"}, {"A-B", "x"}, {"A B", "x"}, {"A", "nul\x00"}} {
		if text, err := Format([]Entry{e}); err == nil {
			t.Errorf("%q=%q is accepted as %q", e.Key, e.Value, text)
		}
	}
}
