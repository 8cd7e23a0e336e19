package migrations

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/golang-migrate/migrate/v4/source"
)

// maxName is the longest name of a migration.
const maxName = 100

// goodName is what the name of a migration may be, after spaces and dashes have become _.
var goodName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

const upHeader = `-- What this changes, and why.
--
-- A statement that fails leaves those before it done, and the database dirty: let there be few, one
-- ALTER for each table. Everything has to work on MySQL 8 and on MariaDB alike (there is no
-- CREATE INDEX IF NOT EXISTS). An index that begins with a column of a foreign key takes away the
-- one that the server made for that key: see 000002_lookup_indexes.down.sql.
-- New or altered tables and columns are written down in schema.go too, for the check of the schema.

`

const downHeader = `-- Takes back %s, in the opposite order.

`

// Create writes the next numbered pair of migration files into a folder, which exists, and returns
// their paths. They hold comments that say what to mind, and no statement: the server refuses them
// as they are. A name is letters, digits and _; spaces and dashes become _, capitals small. No
// file is overwritten. The migrator is to be built anew to know the migration.
func Create(dir, name string) (up, down string, err error) {
	clean := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
	if !goodName.MatchString(clean) || len(clean) > maxName {
		return "", "", fmt.Errorf("%q is no name for a migration: use at most %d letters a to z, digits and single underscores", name, maxName)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", "", fmt.Errorf("listing the migrations: %w", err)
	}
	next := Migration{Version: 1, Name: clean}
	for _, entry := range entries {
		if file, err := source.DefaultParse(entry.Name()); err == nil {
			next.Version = max(next.Version, file.Version+1)
		}
	}
	up = filepath.Join(dir, next.String()+".up.sql")
	down = filepath.Join(dir, next.String()+".down.sql")
	if err := writeNew(up, upHeader); err != nil {
		return "", "", err
	}
	if err := writeNew(down, fmt.Sprintf(downHeader, filepath.Base(up))); err != nil {
		return "", "", errors.Join(err, os.Remove(up))
	}
	return up, down, nil
}

// writeNew writes a file that is not there yet.
func writeNew(path, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("creating a migration: %w", err)
	}
	_, err = file.WriteString(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing a migration: %w", err)
	}
	return nil
}
