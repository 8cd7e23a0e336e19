package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

func TestLayoutsOfTwoClonesDiffer(t *testing.T) {
	none := func(string) string { return "" }
	one, err := NewLayout(t.TempDir(), "", none)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewLayout(t.TempDir(), "", none)
	if err != nil {
		t.Fatal(err)
	}
	if one.ID == other.ID || one.Data == other.Data {
		t.Errorf("two clones share %s in %s", one.ID, one.Data)
	}

	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(one.Root, link); err != nil {
		t.Fatal(err)
	}
	if through, err := NewLayout(link, "", none); err != nil || through != one {
		t.Errorf("through a link the clone is %+v, %v; want %+v", through, err, one)
	}
	if _, err := NewLayout(one.Root, "", func(string) string { return "relative" }); err == nil {
		t.Error("a relative data folder is accepted: it would move with the working directory")
	}
}

func TestMakeDataRefusesWhatIsNotOurs(t *testing.T) {
	tests := map[string]struct {
		prepare func(data string) error
		ok      bool
	}{
		"nothing there":      {func(string) error { return nil }, true},
		"an empty folder":    {func(data string) error { return os.Mkdir(data, 0o755) }, true},
		"a file":             {func(data string) error { return os.WriteFile(data, nil, 0o644) }, false},
		"a link":             {func(data string) error { return os.Symlink(os.TempDir(), data) }, false},
		"somebody's folder":  {func(data string) error { return os.MkdirAll(filepath.Join(data, "thesis"), 0o755) }, false},
		"an earlier stack's": {func(data string) error { return os.MkdirAll(filepath.Join(data, lockName), 0o755) }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := test.prepare(data); err != nil {
				t.Fatal(err)
			}
			layout, err := NewLayout(t.TempDir(), "", func(string) string { return data })
			if err != nil {
				t.Fatal(err)
			}
			if err := layout.MakeData(); (err == nil) != test.ok {
				t.Errorf("made, %v; want ok %v", err, test.ok)
			}
		})
	}
}

func TestNamedStacksShareProgramsAlone(t *testing.T) {
	root, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	layout := func(name string) Layout {
		t.Helper()
		l, err := NewLayout(root, name, func(string) string { return data })
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	own, one, two := layout(""), layout("one"), layout("two-2")
	for _, pair := range [][2]Layout{{own, one}, {own, two}, {one, two}} {
		a, b := pair[0], pair[1]
		if a.ID == b.ID || a.Data == b.Data || a.Env() == b.Env() || a.Log("redis") == b.Log("redis") {
			t.Errorf("stacks %q and %q share an id, data, env or logs: %+v, %+v", a.Name, b.Name, a, b)
		}
		if a.Bin != b.Bin || a.Tools != b.Tools {
			t.Errorf("stacks %q and %q do not share their programs: %+v, %+v", a.Name, b.Name, a, b)
		}
	}
	for _, name := range []string{"env", "logs", "../up", "One", "1", "-x", "a b", "twenty-one-characters"} {
		if l, err := NewLayout(root, name, func(string) string { return data }); err == nil {
			t.Errorf("%q is taken for a stack's name: %+v", name, l)
		}
	}
}

// What all stacks of a clone are must be known without its .local, and must not include another clone's.
func TestAllFindsTheClonesStacks(t *testing.T) {
	root, folder := t.TempDir(), t.TempDir()
	data := filepath.Join(folder, "data")
	layout := func(root, name, data string) Layout {
		t.Helper()
		l, err := NewLayout(root, name, func(string) string { return data })
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	up := func(l Layout) {
		t.Helper()
		if err := l.MakeData(); err != nil {
			t.Fatal(err)
		}
		st, err := state.Open(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Claim(l.ID); err != nil {
			t.Fatal(err)
		}
	}
	names := func() string {
		t.Helper()
		all, err := layout(root, "one", data).All()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range all {
			names = append(names, l.Name)
		}
		return strings.Join(names, ",")
	}
	if got := names(); got != "" {
		t.Errorf("without data there are the stacks %q", got)
	}
	up(layout(root, "one", data))
	up(layout(root, "two", data))
	up(layout(root, "", data))
	up(layout(t.TempDir(), "", data+"-three")) // another clone's, whose data folder only looks like one of ours
	if err := os.WriteFile(data+"-four", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := names(), "one,two,"; got != want {
		t.Errorf("the stacks are %q, want %q: the named ones and the clone's own, last", got, want)
	}
}
