package packages

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// snapshot is all that "exactly as it was" means.
type snapshot struct {
	text  string
	mode  os.FileMode
	inode uint64
	time  time.Time
}

func look(t *testing.T, path string) snapshot {
	t.Helper()
	info, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return snapshot{}
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot{string(text), info.Mode(), info.Sys().(*syscall.Stat_t).Ino, info.ModTime()}
}

// tree lists everything below root.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var paths []string
	err := filepath.Walk(root, func(path string, _ os.FileInfo, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestHoldRestoresExactly(t *testing.T) {
	policy := func(root string) string { return filepath.Join(root, "usr/sbin/policy-rc.d") }
	tests := map[string]func(t *testing.T, root string){
		"there was nothing": func(*testing.T, string) {},
		"there were other settings": func(t *testing.T, root string) {
			write(t, policy(root), "#!/bin/sh\nexit 0\n", 0o750)
			write(t, filepath.Join(root, "etc/postgresql-common/createcluster.d/mine.conf"), "create_main_cluster = true\n", 0o640)
		},
		"there was the same setting by somebody else": func(t *testing.T, root string) {
			write(t, policy(root), "#!/bin/sh\nexit 101\n", 0o755)
		},
		"there was a link": func(t *testing.T, root string) {
			write(t, filepath.Join(root, "opt/policy"), "#!/bin/sh\nexit 0\n", 0o755)
			if err := os.MkdirAll(filepath.Dir(policy(root)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("../../opt/policy", policy(root)); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			prepare(t, root)
			before, paths := map[string]snapshot{}, tree(t, root)
			for _, hold := range holds(root) {
				before[hold.path] = look(t, hold.path)
			}

			for _, hold := range holds(root) {
				if err := hold.Take(); err != nil {
					t.Fatal(err)
				}
				held := look(t, hold.path)
				if held.text[:len(hold.text)] != hold.text || held.mode != hold.mode {
					t.Errorf("%s holds %q with mode %v, want ours", hold.path, held.text, held.mode)
				}
				if err := hold.Take(); err != nil {
					t.Fatalf("taking after an interrupted run: %v", err)
				}
			}
			for range 2 { // also a restore too many
				for _, hold := range holds(root) {
					if err := hold.Restore(); err != nil {
						t.Fatal(err)
					}
				}
			}
			for path, was := range before {
				if is := look(t, path); is != was {
					t.Errorf("%s was %+v, is %+v", path, was, is)
				}
			}
			if after := tree(t, root); len(after) != len(paths) {
				t.Errorf("before: %q, after: %q", paths, after)
			}
		})
	}
}

// A power cut may strike between any two steps of Take.
func TestRestoreAfterAnInterruptedTake(t *testing.T) {
	hold := holds(t.TempDir())[0]
	write(t, hold.path, "original\n", 0o755)
	if err := os.Rename(hold.path, hold.aside()); err != nil {
		t.Fatal(err)
	}
	if err := hold.Restore(); err != nil {
		t.Fatal(err)
	}
	if is := look(t, hold.path); is.text != "original\n" {
		t.Errorf("restored %q, want the original", is.text)
	}
}

func TestRestoreKeepsAFolderThatAPackageFilled(t *testing.T) {
	root := t.TempDir()
	hold := holds(root)[1]
	if err := hold.Take(); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(root, "etc/postgresql-common/createcluster.conf")
	write(t, conf, "shipped\n", 0o644)
	if err := hold.Restore(); err != nil {
		t.Fatal(err)
	}
	if is := look(t, conf); is.text != "shipped\n" {
		t.Errorf("the package's file is now %q", is.text)
	}
	if _, err := os.Stat(filepath.Dir(hold.path)); !os.IsNotExist(err) {
		t.Errorf("the folder made for our file is still there: %v", err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
}
