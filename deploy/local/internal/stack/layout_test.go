package stack

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLayoutsOfTwoClonesDiffer(t *testing.T) {
	none := func(string) string { return "" }
	one, err := NewLayout(t.TempDir(), none)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewLayout(t.TempDir(), none)
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
	if through, err := NewLayout(link, none); err != nil || through != one {
		t.Errorf("through a link the clone is %+v, %v; want %+v", through, err, one)
	}
	if _, err := NewLayout(one.Root, func(string) string { return "relative" }); err == nil {
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
			layout, err := NewLayout(t.TempDir(), func(string) string { return data })
			if err != nil {
				t.Fatal(err)
			}
			if err := layout.MakeData(); (err == nil) != test.ok {
				t.Errorf("made, %v; want ok %v", err, test.ok)
			}
		})
	}
}
