package postgresql

import (
	"context"
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
	if strings.Contains(strings.Join(append(d.Sources(), d.Query, d.Where), ""), "\x00") {
		// The protocol would take it for the end of the text, and the driver leaves it out of names.
		return engine.Extraction{}, ingest.Permanent(ingest.QueryFailed, nil, "dataset %q has a NUL character, which is part of no text in PostgreSQL", d.Name)
	}
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
	p := plan{selection: selectFrom(d, columns, chosen)}
	e := engine.Extraction{Withheld: withheld, Snapshot: s.snapshot}
	for i, c := range chosen {
		e.Columns = append(e.Columns, c.declared.Describe(c.fileType, c.sourceType))
		if r := (recoding{json: c.json, mask: c.declared.Mask}); r != (recoding{}) {
			if p.recode == nil {
				p.recode = make([]recoding, len(chosen))
			}
			p.recode[i] = r
		}
	}
	if p.where != "" {
		if err := s.check(ctx, p.test(), 1); err != nil {
			return engine.Extraction{}, err
		}
	}
	if err := s.check(ctx, p.query(), len(chosen)); err != nil {
		return engine.Extraction{}, err
	}
	// Planning locks the partitions of a table, which parsing does not.
	if e.EstimatedRows, err = s.estimate(ctx, p.query()); err != nil {
		return engine.Extraction{}, err
	}
	if err := s.unrewritten(ctx); err != nil {
		return engine.Extraction{}, err
	}
	if d.Table != "" {
		if e.EstimatedRows, p.ranges, err = s.survey(ctx, oids[0], d, p.selection); err != nil {
			return engine.Extraction{}, err
		}
	}
	e.Run = func(ctx context.Context, sink engine.Sink) (engine.Tally, error) { return s.run(ctx, p, sink) }
	return e, nil
}

// check has the server parse the query, which has to be one statement of so many columns: the
// protocol for that takes no more than one, as the one that runs a COPY would. Tables that the query
// reads stay locked against being rewritten until the session ends.
func (s *session) check(ctx context.Context, query string, columns int) error {
	description, err := s.conn.Prepare(ctx, "", query, nil)
	if err != nil {
		return fmt.Errorf("preparing the query: %w", err)
	}
	if len(description.Fields) != columns || len(description.ParamOIDs) != 0 {
		return ingest.Permanent(ingest.QueryFailed, nil, "the query is not of the columns that were asked for")
	}
	return nil
}

// column is a column of a table or query and how it gets into the file.
type column struct {
	rendering
	name       string
	sourceType string         // as the server spells it: character varying(255)
	declared   catalog.Column // what the catalog says of it
}

// relation returns the oid of a table or view, by its name in the catalog.
func (s *session) relation(ctx context.Context, name string) (string, error) {
	rows, err := s.conn.rows(ctx, `
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
	rows, err := s.conn.rows(ctx, `
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
	rows, err := s.conn.rows(ctx, `
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
		c.declared = s.Column
		if s.JSON {
			c.fileType, c.json = ingest.TypeJSON, true
		}
		chosen = append(chosen, c)
	}
	return chosen, withheld, nil
}
