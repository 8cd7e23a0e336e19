package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

// Layout says where everything of one stack lies.
type Layout struct {
	ID    string // tells the stacks of several clones apart
	Root  string // the clone
	Data  string // outside the clone: the servers' users must be able to enter it
	Local string // env and logs
	Bin   string // the product's binaries
	Tools string // the stack's own binaries
}

// DataVariable names another folder than the default for the data.
const DataVariable = "LOCAL_DATA_DIR"

// NewLayout lays out the stack of the clone at root.
func NewLayout(root string, getenv func(string) string) (Layout, error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return Layout{}, fmt.Errorf("finding the clone: %w", err)
	}
	if absolute, err = filepath.EvalSymlinks(absolute); err != nil {
		return Layout{}, fmt.Errorf("finding the clone: %w", err)
	}
	sum := sha256.Sum256([]byte(absolute))
	id := hex.EncodeToString(sum[:4])
	data := getenv(DataVariable)
	if data == "" {
		data = filepath.Join("/var/tmp", "pharmavida-ingesta-"+id)
	}
	if !filepath.IsAbs(data) {
		return Layout{}, fmt.Errorf("%s=%q is not an absolute path", DataVariable, data)
	}
	return Layout{
		ID:    id,
		Root:  absolute,
		Data:  filepath.Clean(data),
		Local: filepath.Join(absolute, ".local"),
		Bin:   filepath.Join(absolute, "bin"),
		Tools: filepath.Join(absolute, "bin", "local"),
	}, nil
}

// Log is the file that collects what a process prints.
func (l Layout) Log(name string) string { return filepath.Join(l.Local, "logs", name+".log") }

// Env is the file with every address and credential.
func (l Layout) Env() string { return filepath.Join(l.Local, "env") }

// MakeData makes the data folder. Everybody may write in /var/tmp: a folder that another user put
// there under our name, or one with other content, is refused.
func (l Layout) MakeData() error {
	err := os.Mkdir(l.Data, 0o755)
	if err == nil {
		return os.Chmod(l.Data, 0o755) // whatever the umask: the servers' users must be able to enter
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the data folder: %w", err)
	}
	return l.checkData()
}

// checkData refuses a data folder that is not this stack's own.
func (l Layout) checkData() error {
	info, err := os.Lstat(l.Data)
	if err != nil {
		return fmt.Errorf("looking at the data folder: %w", err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: remove it or set %s", l.Data, DataVariable)
	case int(owner) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, you are %d: work as that user or set %s", l.Data, owner, os.Geteuid(), DataVariable)
	}
	entries, err := os.ReadDir(l.Data)
	if err != nil {
		return fmt.Errorf("looking into the data folder: %w", err)
	}
	if len(entries) == 0 {
		return nil
	}
	for _, entry := range entries {
		if entry.Name() == state.FileName || entry.Name() == lockName {
			return nil
		}
	}
	return fmt.Errorf("%s holds something else: empty it or set %s", l.Data, DataVariable)
}

// exists reports whether there is something at the path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
