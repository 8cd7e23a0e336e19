// Package envfile writes KEY=value files that a POSIX shell can source.
//
// Every value is quoted so that the shell reads back exactly what was written. Not a goal: reading.
package envfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Entry is one variable, or a comment line where Key is empty.
type Entry struct {
	Key, Value string
}

// Comment is a line for the reader of the file.
func Comment(text string) Entry { return Entry{Value: text} }

var (
	name  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	plain = regexp.MustCompile(`^[A-Za-z0-9_./:@+=,-]*$`)
)

// Format renders the entries. A name that is none, or a NUL byte in a value, is an error.
func Format(entries []Entry) (string, error) {
	var b strings.Builder
	for _, e := range entries {
		switch {
		case e.Key == "":
			fmt.Fprintf(&b, "# %s\n", strings.ReplaceAll(e.Value, "\n", "\n# "))
		case !name.MatchString(e.Key):
			return "", fmt.Errorf("formatting the environment: %q is not a variable's name", e.Key)
		case strings.ContainsRune(e.Value, 0):
			return "", fmt.Errorf("formatting the environment: %s holds a NUL byte", e.Key)
		case plain.MatchString(e.Value):
			fmt.Fprintf(&b, "%s=%s\n", e.Key, e.Value)
		default:
			fmt.Fprintf(&b, "%s='%s'\n", e.Key, strings.ReplaceAll(e.Value, "'", `'\''`))
		}
	}
	return b.String(), nil
}

// Write puts the entries into a file of mode 0600, all at once: a reader sees the old file or the new.
func Write(path string, entries []Entry) error {
	text, err := Format(entries)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("making the environment file: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.WriteString(text)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return fmt.Errorf("writing the environment file: %w", err)
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return fmt.Errorf("putting the environment file in place: %w", err)
	}
	return nil
}

// Pairs is the form in which a process takes its environment.
func Pairs(entries []Entry) []string {
	var pairs []string
	for _, e := range entries {
		if e.Key != "" {
			pairs = append(pairs, e.Key+"="+e.Value)
		}
	}
	return pairs
}
