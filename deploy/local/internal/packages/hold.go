package packages

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Hold replaces a file of the system for a while.
//
// The original, whatever it is, is moved aside and later moved back: the same inode with the same
// owner, mode and times. Every step is a rename or a removal, so a Hold that was interrupted at any
// point, even by a power cut, can be recognised and undone by Restore.
type Hold struct {
	path string
	text string // holds the marker, so that a file left behind is known as ours
	mode fs.FileMode
}

// marker tells our files from others'.
const marker = "PharmaVida Ingesta, make up: temporary"

func (h Hold) aside() string { return h.path + ".before-pharmavida-ingesta" }

// holds are the two files, below the root of the file system.
func holds(root string) []Hold {
	return []Hold{
		{
			// Debian's maintainer scripts ask it before they start a service; 101 forbids.
			path: filepath.Join(root, "usr/sbin/policy-rc.d"),
			text: "#!/bin/sh\n# " + marker + "\nexit 101\n",
			mode: 0o755,
		},
		{
			// Read by pg_createcluster after createcluster.conf, in the order of names.
			path: filepath.Join(root, "etc/postgresql-common/createcluster.d/zz-pharmavida-ingesta.conf"),
			text: "# " + marker + "\ncreate_main_cluster = false\n",
			mode: 0o644,
		},
	}
}

// Take puts our file in place of the original.
func (h Hold) Take() error {
	if err := h.Restore(); err != nil {
		return err
	}
	err := os.Rename(h.path, h.aside())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("moving %s aside: %w", h.path, err)
	}
	made, err := makeFolders(filepath.Dir(h.path))
	if err != nil {
		return errors.Join(err, h.Restore())
	}
	text := h.text
	for _, folder := range made {
		text += folderLine + folder + "\n"
	}
	if err := place(h.path, text, h.mode); err != nil {
		return errors.Join(err, h.Restore())
	}
	return nil
}

// folderLine begins a line that names a folder made for the file, innermost first.
const folderLine = "# folder "

// Restore undoes Take. Without a Take it does nothing.
func (h Hold) Restore() error {
	present, err := os.ReadFile(h.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking at %s: %w", h.path, err)
	}
	ours := bytes.Contains(present, []byte(marker))

	_, err = os.Lstat(h.aside())
	switch {
	case err == nil:
		if err := os.Rename(h.aside(), h.path); err != nil {
			return fmt.Errorf("putting %s back: %w", h.path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for the original of %s: %w", h.path, err)
	case ours:
		if err := os.Remove(h.path); err != nil {
			return fmt.Errorf("removing %s: %w", h.path, err)
		}
	}
	if !ours {
		return nil
	}
	for line := range bytes.Lines(present) {
		if folder, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(folderLine)); ok {
			// A folder that a package has put something into is now that package's.
			os.Remove(string(folder))
		}
	}
	return nil
}

// makeFolders makes the missing folders and names them, innermost first.
func makeFolders(path string) ([]string, error) {
	_, err := os.Stat(path)
	if err == nil {
		return nil, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	above, err := makeFolders(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	return append([]string{path}, above...), nil
}

// place writes a file so that it is there whole or not at all.
func place(path, text string, mode fs.FileMode) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".pharmavida-ingesta-*")
	if err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.WriteString(text)
	if err := errors.Join(err, temporary.Chmod(mode), temporary.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return fmt.Errorf("putting %s in place: %w", path, err)
	}
	return nil
}
