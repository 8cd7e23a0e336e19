package postgresql

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
)

// Prepare checks that the tables exist and resolves the columns against the server's catalogue.
func (s *session) Prepare(ctx context.Context, d catalog.Dataset) (engine.Extraction, error) {
	var e engine.Extraction
	err := s.guarded(ctx, func() (err error) {
		e, err = s.prepare(ctx, d)
		return failure(ctx, err)
	})
	return e, err
}

func (s *session) prepare(ctx context.Context, d catalog.Dataset) (engine.Extraction, error) {
	oids := make([]string, 0, 1)
	for _, name := range d.Sources() {
		oid, err := s.relation(ctx, name)
		if err != nil {
			return engine.Extraction{}, err
		}
		oids = append(oids, oid)
	}
	var columns []column
	var err error
	if d.Table != "" {
		columns, err = s.tableColumns(ctx, oids[0])
	} else {
		columns, err = s.queryColumns(ctx, d.Query)
	}
	if err != nil {
		return engine.Extraction{}, err
	}
	chosen, withheld, err := choose(d, columns)
	if err != nil {
		return engine.Extraction{}, err
	}
	p := plan{query: selection(d, columns, chosen)}
	e := engine.Extraction{Withheld: withheld, Snapshot: s.snapshot}
	for _, c := range chosen {
		e.Columns = append(e.Columns, ingest.Column{Name: c.name, Type: c.fileType, SourceType: c.sourceType})
		p.recode = append(p.recode, c.recode)
	}
	if d.Table != "" {
		e.EstimatedRows, err = s.tableEstimate(ctx, oids[0], p.query)
	} else {
		e.EstimatedRows, err = s.estimate(ctx, p.query)
	}
	if err != nil {
		return engine.Extraction{}, err
	}
	e.Run = func(ctx context.Context, sink engine.Sink) (engine.Tally, error) { return s.run(ctx, p, sink) }
	return e, nil
}

// column is a column of a table or query and how it gets into the file.
type column struct {
	rendering
	name       string
	sourceType string // as the server spells it: character varying(255)
}

// relation returns the oid of a table or view, by its name in the catalog.
func (s *session) relation(ctx context.Context, name string) (string, error) {
	rows, err := s.rows(ctx, `
		SELECT c.oid FROM pg_catalog.pg_class c
		WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`, quoteTable(name))
	if err != nil {
		return "", fmt.Errorf("looking for table %s: %w", name, err)
	}
	if len(rows) == 0 {
		return "", ingest.Permanent(ingest.TableNotFound, nil, "table %q does not exist", name)
	}
	return rows[0][0], nil
}

// quoteTable quotes a name of the catalog: table or schema.table.
func quoteTable(name string) string {
	return pgx.Identifier(strings.SplitN(name, ".", 2)).Sanitize()
}

func quoteColumn(name string) string { return pgx.Identifier{name}.Sanitize() }

// tableColumns returns the columns of a table in the server's order.
func (s *session) tableColumns(ctx context.Context, table string) ([]column, error) {
	rows, err := s.rows(ctx, `
		SELECT attname, atttypid, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
		WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, table)
	if err != nil {
		return nil, fmt.Errorf("reading the columns: %w", err)
	}
	return s.columns(ctx, rows)
}

// queryColumns returns the columns of a query, which the server parses and does not run.
func (s *session) queryColumns(ctx context.Context, query string) ([]column, error) {
	description, err := s.conn.Prepare(ctx, "", query, nil)
	if err != nil {
		return nil, fmt.Errorf("preparing the query: %w", err)
	}
	if len(description.Fields) == 0 {
		return nil, ingest.Permanent(ingest.QueryFailed, nil, "the statement returns no columns")
	}
	oids, modifiers := make([]string, len(description.Fields)), make([]string, len(description.Fields))
	for i, f := range description.Fields {
		oids[i], modifiers[i] = strconv.FormatUint(uint64(f.DataTypeOID), 10), strconv.Itoa(int(f.TypeModifier))
	}
	rows, err := s.rows(ctx, `
		SELECT '', t.oid, pg_catalog.format_type(t.oid, t.modifier)
		FROM unnest($1::oid[], $2::int[]) WITH ORDINALITY AS t (oid, modifier, n) ORDER BY t.n`,
		"{"+strings.Join(oids, ",")+"}", "{"+strings.Join(modifiers, ",")+"}")
	if err != nil {
		return nil, fmt.Errorf("reading the types of the query: %w", err)
	}
	for i, f := range description.Fields {
		rows[i][0] = f.Name
	}
	return s.columns(ctx, rows)
}

// columns makes columns of rows of name, oid of the type, and the type as the server spells it.
func (s *session) columns(ctx context.Context, rows [][]string) ([]column, error) {
	oids := make([]uint32, len(rows))
	for i, row := range rows {
		oid, err := strconv.ParseUint(row[1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("reading the type of column %s: %w", row[0], err)
		}
		oids[i] = uint32(oid)
	}
	types, err := s.types(ctx, oids)
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(rows))
	for i, row := range rows {
		columns[i] = column{rendering: render(types[oids[i]]), name: row[0], sourceType: row[2]}
	}
	return columns, nil
}

// choose returns the columns that the dataset exports, in its order, and those it withholds.
func choose(d catalog.Dataset, all []column) (chosen []column, withheld []ingest.Withheld, err error) {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	selected, withheld, err := d.Select(names)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range selected {
		c := all[s.At]
		if s.JSON {
			c.fileType, c.recode = ingest.TypeJSON, true
		}
		chosen = append(chosen, c)
	}
	return chosen, withheld, nil
}

// selection returns the SELECT of the chosen columns. A query is a subquery whose columns are
// named anew, because a query may repeat a name.
func selection(d catalog.Dataset, all, chosen []column) string {
	expressions := make([]string, len(chosen))
	for i, c := range chosen {
		expressions[i] = c.expression(quoteColumn(c.name))
	}
	list := strings.Join(expressions, ", ")
	if d.Table != "" {
		return "SELECT " + list + " FROM " + quoteTable(d.Table)
	}
	seen := make(map[string]bool, len(all))
	names := make([]string, len(all))
	for i, c := range all {
		name := c.name
		if seen[name] {
			name = fmt.Sprintf("%s\t%d", name, i) // a tab: no column of the catalog has one
		}
		seen[name] = true
		names[i] = quoteColumn(name)
	}
	// The newline ends a comment that the query may end in.
	return "SELECT " + list + " FROM (" + d.Query + "\n) AS dataset (" + strings.Join(names, ", ") + ")"
}

// tableEstimate returns how many rows the server believes the table has, 0 when it cannot know.
func (s *session) tableEstimate(ctx context.Context, table, query string) (int64, error) {
	rows, err := s.rows(ctx, `
		SELECT reltuples::bigint, pg_catalog.pg_relation_size(oid) > 10 * current_setting('block_size')::int
		FROM pg_catalog.pg_class WHERE oid = $1::oid`, table)
	if err != nil {
		return 0, fmt.Errorf("estimating rows: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	if known, err := strconv.ParseInt(rows[0][0], 10, 64); err == nil && known > 0 {
		return known, nil
	}
	if rows[0][1] != "t" {
		return 0, nil // the planner guesses too high for a small table that was never analyzed
	}
	return s.estimate(ctx, query)
}

// estimate returns how many rows the planner expects of the query.
func (s *session) estimate(ctx context.Context, query string) (int64, error) {
	rows, err := s.rows(ctx, "EXPLAIN (FORMAT JSON) "+query)
	if err != nil {
		return 0, fmt.Errorf("estimating rows: %w", err)
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal([]byte(rows[0][0]), &plans); err != nil || len(plans) == 0 {
		return 0, nil //nolint:nilerr // an estimate that cannot be read is no reason not to export
	}
	return int64(plans[0].Plan.Rows), nil
}
