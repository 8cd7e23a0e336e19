package migrations

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/golang-migrate/migrate/v4/source"
)

//go:embed sql/*.sql
var embedded embed.FS

// folder is where the migrations are in the file system they come from.
const folder = "sql"

// Migration is one numbered change of the schema.
type Migration struct {
	Version uint
	Name    string
}

func (m Migration) String() string { return fmt.Sprintf("%06d_%s", m.Version, m.Name) }

// read lists the migrations in files by version. Versions are 1, 2, 3 and so on, and each has an
// up and a down: anything else is an error.
func read(files fs.FS) ([]Migration, error) {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		return nil, fmt.Errorf("listing the migrations: %w", err)
	}
	found := map[uint]map[source.Direction]string{}
	for _, entry := range entries {
		file, err := source.DefaultParse(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the name of the migration %s: %w", entry.Name(), err)
		}
		if found[file.Version] == nil {
			found[file.Version] = map[source.Direction]string{}
		}
		if other, twice := found[file.Version][file.Direction]; twice {
			return nil, fmt.Errorf("there are two migrations %d: %s and %s", file.Version, other, file.Identifier)
		}
		found[file.Version][file.Direction] = file.Identifier
	}
	var known []Migration
	for i, version := range slices.Sorted(maps.Keys(found)) {
		name, down := found[version][source.Up], found[version][source.Down]
		switch {
		case version != uint(i+1):
			return nil, fmt.Errorf("there is no migration %d, but a migration %d", i+1, version)
		case name == "" || name != down:
			return nil, fmt.Errorf("migration %d needs an up and a down of the same name: got %q and %q", version, name, down)
		}
		known = append(known, Migration{Version: version, Name: name})
	}
	return known, nil
}
