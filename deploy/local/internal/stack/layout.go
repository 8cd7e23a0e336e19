package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

// Layout says where everything of one stack lies.
type Layout struct {
	ID    string // tells stacks apart, those of several clones and those of one
	Name  string // among the stacks of the clone; "" is the clone's own
	Root  string // the clone
	Data  string // outside the clone: the servers' users must be able to enter it
	Local string // env and logs
	Bin   string // the product's binaries, which all stacks of the clone share
	Tools string // the stack's own binaries, likewise

	clone string // ID of the clone's own stack, with which all IDs of the clone begin
	data  string // its data folder, with which all data folders of the clone begin
}

// DataVariable names another folder than the default for the data. A named stack appends its name.
const DataVariable = "LOCAL_DATA_DIR"

// validName is what fits into an Erlang node's name, a path and an option alike.
var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)

// NewLayout lays out a stack of the clone at root: the one of that name, or the clone's own.
func NewLayout(root, name string, getenv func(string) string) (Layout, error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return Layout{}, fmt.Errorf("finding the clone: %w", err)
	}
	if absolute, err = filepath.EvalSymlinks(absolute); err != nil {
		return Layout{}, fmt.Errorf("finding the clone: %w", err)
	}
	sum := sha256.Sum256([]byte(absolute))
	clone := hex.EncodeToString(sum[:4])
	data := getenv(DataVariable)
	if data == "" {
		data = filepath.Join("/var/tmp", "pharmavida-ingesta-"+clone)
	}
	if !filepath.IsAbs(data) {
		return Layout{}, fmt.Errorf("%s=%q is not an absolute path", DataVariable, data)
	}
	own := Layout{
		Root:  absolute,
		Bin:   filepath.Join(absolute, "bin"),
		Tools: filepath.Join(absolute, "bin", "local"),
		clone: clone,
		data:  filepath.Clean(data),
	}
	return own.named(name)
}

// named is the layout of another stack of the same clone.
func (l Layout) named(name string) (Layout, error) {
	local := filepath.Join(l.Root, ".local")
	l.Name, l.ID, l.Data, l.Local = name, l.clone, l.data, local
	if name == "" {
		return l, nil
	}
	l.ID, l.Data, l.Local = l.clone+"-"+name, l.data+"-"+name, filepath.Join(local, name)
	switch {
	case !validName.MatchString(name):
		return Layout{}, fmt.Errorf("%q cannot be the name of a stack: it takes up to 20 lower-case letters, digits and hyphens, a letter first", name)
	case l.Local == filepath.Join(local, logsFolder) || l.Local == filepath.Join(local, envName):
		return Layout{}, fmt.Errorf("%q cannot be the name of a stack: the clone's own has a file or folder of that name in .local", name)
	}
	return l, nil
}

// What lies in Local.
const (
	envName    = "env"
	logsFolder = "logs"
)

// Logs is the folder of the logs.
func (l Layout) Logs() string { return filepath.Join(l.Local, logsFolder) }

// Log is the file that collects what a process prints.
func (l Layout) Log(name string) string { return filepath.Join(l.Logs(), name+".log") }

// Env is the file with every address and credential.
func (l Layout) Env() string { return filepath.Join(l.Local, envName) }

// All returns the layouts of all stacks of the clone that have data, the clone's own last.
func (l Layout) All() ([]Layout, error) {
	entries, err := os.ReadDir(filepath.Dir(l.data))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the clone's stacks: %w", err)
	}
	var all []Layout
	for _, entry := range entries {
		name, ok := strings.CutPrefix(entry.Name(), filepath.Base(l.data)+"-")
		if !ok {
			continue
		}
		// Another clone's folder may have a name that only looks like one of ours.
		other, err := l.named(name)
		if err != nil || other.checkData() != nil {
			continue
		}
		st, err := state.Open(other.Data)
		if err != nil {
			return nil, err
		}
		if st.Stack() == other.ID {
			all = append(all, other)
		}
	}
	own, err := l.named("")
	if err != nil {
		return nil, err
	}
	if exists(own.Data) {
		all = append(all, own)
	}
	return all, nil
}

// others returns the layouts of the clone's other stacks that have data.
func (l Layout) others() ([]Layout, error) {
	all, err := l.All()
	return slices.DeleteFunc(all, func(other Layout) bool { return other.Name == l.Name }), err
}

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
