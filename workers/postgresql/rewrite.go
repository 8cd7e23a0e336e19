package postgresql

import (
	"context"
	"fmt"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// unrewritten makes sure that the snapshot shows the rows of every table that the session has looked
// at. TRUNCATE, and an ALTER TABLE that writes the table anew, do not keep what older snapshots see:
// to them the table is empty, without a word from the server. Both give the table another file, and
// the snapshot still sees the name of the old one. VACUUM FULL and CLUSTER do so too, and would do no
// harm; they cost another attempt.
//
// The tables are those that the session has locks on, since it had its query planned: with the
// partitions and what is under views, and none of them can be rewritten any more until it ends.
func (s *session) unrewritten(ctx context.Context) error {
	rows, err := s.conn.rows(ctx, `
		SELECT c.oid::pg_catalog.regclass
		FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
		WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'm') AND c.relfilenode <> 0
			AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)
		LIMIT 1`)
	if err != nil {
		return fmt.Errorf("looking for rewritten tables: %w", err)
	}
	if len(rows) > 0 {
		return ingest.Transient(ingest.SourceUnavailable, nil,
			"table %s was emptied or rewritten after the snapshot was taken, which would show it as empty; the next attempt takes a new one", rows[0][0])
	}
	return nil
}
