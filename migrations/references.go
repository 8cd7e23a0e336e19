package migrations

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// ReferencedError says that tables which migrations would drop are referred to by foreign keys of
// tables that are not the schema's. Nothing was changed.
type ReferencedError struct {
	Database   string
	References []string // in words, each foreign key
}

func (e *ReferencedError) Error() string {
	return fmt.Sprintf("foreign keys of other tables refer to tables of database %s that would be dropped; nothing was changed:\n  - %s\n"+
		"Drop these foreign keys, or their tables, and take the migrations back then.", e.Database, strings.Join(e.References, "\n  - "))
}

// unreferenced refuses to go down from one version to another while a table that goes is referred
// to from outside the schema: the server would drop some of the tables, and fail then.
func (m *Migrator) unreferenced(ctx context.Context, found survey, from, to uint) error {
	going := map[string]bool{}
	for _, t := range m.expected(from) {
		going[found.key(t.name)] = true
	}
	for _, t := range m.expected(to) {
		delete(going, found.key(t.name))
	}
	if len(going) == 0 {
		return nil
	}
	rows, err := m.session.conn.QueryContext(ctx, "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME "+
		"FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE UNIQUE_CONSTRAINT_SCHEMA = DATABASE()")
	if err != nil {
		return m.explain(ctx, "listing the foreign keys", err)
	}
	defer rows.Close()
	var references []string
	for rows.Next() {
		var database, name, constraint, referenced string
		if err := rows.Scan(&database, &name, &constraint, &referenced); err != nil {
			return m.explain(ctx, "listing the foreign keys", err)
		}
		ours := database == found.database && going[found.key(name)]
		if going[found.key(referenced)] && !ours {
			references = append(references, fmt.Sprintf("%s of %s.%s refers to %s", constraint, database, name, referenced))
		}
	}
	if err := rows.Err(); err != nil {
		return m.explain(ctx, "listing the foreign keys", err)
	}
	if len(references) == 0 {
		return nil
	}
	slices.Sort(references)
	return &ReferencedError{Database: found.database, References: references}
}
