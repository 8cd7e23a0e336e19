package seeds

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// CascadeError says that emptying the nine tables would change rows of other tables, by foreign
// keys with ON DELETE CASCADE or SET NULL. Nothing was changed.
type CascadeError struct {
	References []string // in words, each foreign key
}

func (e *CascadeError) Error() string {
	return fmt.Sprintf("deleting every row would delete or change rows of other tables too, by their foreign keys; nothing was changed: %s "+
		"(drop these foreign keys, or their tables, or seed without cleaning)", strings.Join(e.References, "; "))
}

// refuseCascades fails with a *CascadeError where tables other than ours follow a delete.
func refuseCascades(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT CONSTRAINT_SCHEMA = DATABASE(), CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME, "+
		"DELETE_RULE, @@lower_case_table_names <> 0 FROM information_schema.REFERENTIAL_CONSTRAINTS "+
		"WHERE UNIQUE_CONSTRAINT_SCHEMA = DATABASE() AND DELETE_RULE IN ('CASCADE', 'SET NULL')")
	if err != nil {
		return fmt.Errorf("listing the foreign keys: %w", err)
	}
	defer rows.Close()
	var references []string
	for rows.Next() {
		var here, foldNames bool
		var database, table, constraint, referenced, rule string
		if err := rows.Scan(&here, &database, &table, &constraint, &referenced, &rule, &foldNames); err != nil {
			return fmt.Errorf("listing the foreign keys: %w", err)
		}
		ours := func(name string) bool {
			return slices.ContainsFunc(tables, func(t string) bool { return t == name || foldNames && strings.EqualFold(t, name) })
		}
		if ours(referenced) && (!here || !ours(table)) {
			references = append(references, fmt.Sprintf("%s of %s.%s refers to %s with ON DELETE %s", constraint, database, table, referenced, rule))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("listing the foreign keys: %w", err)
	}
	if len(references) > 0 {
		slices.Sort(references)
		return &CascadeError{References: references}
	}
	return nil
}
