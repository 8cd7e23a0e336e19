package postgresql

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pharmavida/ingesta/shared/catalog"
)

// survey returns how many rows the server expects of a table's dataset, 0 when it cannot know, and
// how the table is cut into ranges: nil where it is read in one go.
func (s *session) survey(ctx context.Context, oid string, d catalog.Dataset, selected selection) (int64, *ranges, error) {
	rows, err := s.conn.rows(ctx, `
		SELECT reltuples::bigint,
			pg_catalog.pg_relation_size(oid) / pg_catalog.current_setting('block_size')::bigint,
			pg_catalog.pg_table_size(oid),
			relkind = 'r' AND relam = (SELECT am.oid FROM pg_catalog.pg_am am WHERE am.amname = 'heap')
				AND pg_catalog.current_setting('server_version_num')::int >= 140000
		FROM pg_catalog.pg_class WHERE oid = $1::oid`, oid)
	if err != nil {
		return 0, nil, fmt.Errorf("looking at the table: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil, nil
	}
	known, _ := strconv.ParseInt(rows[0][0], 10, 64) // -1 when nobody has counted
	pages, _ := strconv.ParseInt(rows[0][1], 10, 64) // NULL when it has none of its own
	size, _ := strconv.ParseInt(rows[0][2], 10, 64)
	large := size >= s.source.large && pages > 0 && rows[0][3] == "t"
	switch {
	case large || d.Where != "":
	case known > 0:
		return known, nil, nil
	case pages <= 10:
		return 0, nil, nil // the planner guesses too high for a small table that was never analyzed
	}
	plan, err := s.explain(ctx, selected.query())
	if err != nil {
		return 0, nil, err
	}
	expected := int64(plan.Rows)
	if d.Where == "" && known > 0 {
		expected = known
	}
	// A plan that is more than a scan of this one table would be run anew for each range: one with an
	// order, a subquery, descendants of the table, or an index that finds the rows at once.
	if !large || !plan.scans("Seq Scan") || s.source.parallel < 2 || s.snapshot.ID == "" {
		return expected, nil, nil
	}
	r := newRanges(quoteTable(d.Table), pages, max(1, pages*s.source.rangeOf/size))
	if plan, err = s.explain(ctx, selected.query(r.condition(0))); err != nil {
		return 0, nil, err
	}
	if r.count == 1 || !plan.scans("Tid Range Scan") {
		return expected, nil, nil
	}
	r.server, err = s.conn.server(ctx)
	return expected, r, err
}

// estimate returns how many rows the planner expects of the query.
func (s *session) estimate(ctx context.Context, query string) (int64, error) {
	plan, err := s.explain(ctx, query)
	return int64(plan.Rows), err
}

// node is a node of a plan, as EXPLAIN shows it.
type node struct {
	Type  string  `json:"Node Type"`
	Rows  float64 `json:"Plan Rows"`
	Plans []node
}

// scans reports whether all that the plan does is one scan of that kind, by any number of processes.
func (n node) scans(kind string) bool {
	if n.Type == "Gather" && len(n.Plans) == 1 {
		n = n.Plans[0]
	}
	return n.Type == kind && len(n.Plans) == 0
}

// explain returns the plan of the query. One that cannot be read is no reason not to export, and
// comes back empty.
func (s *session) explain(ctx context.Context, query string) (node, error) {
	rows, err := s.conn.rows(ctx, "EXPLAIN (FORMAT JSON) "+query)
	if err != nil {
		return node{}, fmt.Errorf("asking for the plan: %w", err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(rows[0][0]), &plans); err != nil || len(plans) == 0 {
		return node{}, nil //nolint:nilerr // see above
	}
	return plans[0].Plan, nil
}
