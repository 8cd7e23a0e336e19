package mysql

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
)

// Prepare checks that the tables exist and resolves the columns against the server's catalogue.
func (s *session) Prepare(ctx context.Context, d catalog.Dataset) (engine.Extraction, error) {
	var e engine.Extraction
	err := s.interruptible(ctx, func(ctx context.Context) (err error) {
		e, err = s.prepare(ctx, d)
		return err
	})
	return e, failure(ctx, err)
}

func (s *session) prepare(ctx context.Context, d catalog.Dataset) (engine.Extraction, error) {
	if locks(d.Query) || locks(d.Where) {
		return engine.Extraction{}, ingest.Permanent(ingest.QueryFailed, nil, "dataset %q would lock the rows that it reads", d.Name)
	}
	e := engine.Extraction{Snapshot: s.snapshot}
	for _, name := range d.Sources() {
		facts, err := s.relation(ctx, name)
		if err != nil {
			return engine.Extraction{}, err
		}
		if d.Table != "" {
			e.EstimatedRows = facts.rows
		}
		e.Snapshot.Consistent = e.Snapshot.Consistent && facts.transactional
	}
	var columns []column
	var err error
	if d.Table != "" {
		columns, err = s.tableColumns(ctx, d.Table)
	} else {
		columns, err = s.queryColumns(ctx, d.Query)
	}
	if err != nil {
		return engine.Extraction{}, err
	}
	p := plan{query: d.Query}
	if p.columns, e.Withheld, err = choose(d, columns); err != nil {
		return engine.Extraction{}, err
	}
	if d.Table != "" {
		p.query = selection(d, p.columns)
	} else {
		// Here the server cannot be asked to widen a float without losing the query's order.
		p.binary = slices.ContainsFunc(p.columns, func(c column) bool { return c.widen })
	}
	if d.Where != "" {
		if _, err := s.rows(ctx, derived("SELECT 1"+from(d))); err != nil {
			return engine.Extraction{}, fmt.Errorf("checking the condition: %w", err)
		}
	}
	if d.Where != "" || d.Query != "" {
		if e.EstimatedRows, err = s.estimate(ctx, p.query); err != nil {
			return engine.Extraction{}, err
		}
	}
	for _, c := range p.columns {
		e.Columns = append(e.Columns, c.described)
	}
	e.Run = func(ctx context.Context, sink engine.Sink) (engine.Tally, error) { return s.run(ctx, p, sink) }
	return e, nil
}

// facts are what the server knows of a table.
type facts struct {
	rows          int64 // a guess, 0 when there is none
	transactional bool  // a view counts as such
}

// relation checks that a table or view exists, by its name in the catalog, and may be read.
func (s *session) relation(ctx context.Context, name string) (facts, error) {
	// The server itself decides whether upper and lower case differ.
	if _, err := s.rows(ctx, "SELECT 1 FROM "+quoteTable(name)+" LIMIT 0"); err != nil {
		if number(err) == noSuchTable || number(err) == badTable {
			return facts{}, ingest.Permanent(ingest.TableNotFound, err, "table %q does not exist", name)
		}
		return facts{}, fmt.Errorf("looking for table %s: %w", name, err)
	}
	condition, params := named(name)
	found, err := s.rows(ctx, `
		SELECT t.TABLE_ROWS, COALESCE(e.TRANSACTIONS, 'YES')
		FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
		WHERE `+condition, params...)
	if err != nil {
		return facts{}, fmt.Errorf("reading about table %s: %w", name, err)
	}
	if len(found.rows) == 0 {
		return facts{transactional: true}, nil
	}
	rows, err := strconv.ParseInt(found.rows[0][0], 10, 64)
	if err != nil {
		rows = 0 // a view has none
	}
	return facts{rows: rows, transactional: found.rows[0][1] == "YES"}, nil
}

// quoteTable quotes a name of the catalog: table or schema.table.
func quoteTable(name string) string {
	if schema, table, ok := strings.Cut(name, "."); ok {
		return quoteName(schema) + "." + quoteName(table)
	}
	return quoteName(name)
}

func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// named returns the condition that finds a table by its name in the catalog. information_schema
// compares without case even where table names have one.
func named(name string) (condition string, params []string) {
	schema, table, ok := strings.Cut(name, ".")
	if ok {
		condition, params = "TABLE_SCHEMA = ?", []string{schema}
	} else {
		condition, table = "TABLE_SCHEMA = DATABASE()", name
	}
	condition += " AND TABLE_NAME = ? AND (@@lower_case_table_names > 0 OR CAST(TABLE_NAME AS BINARY) = CAST(? AS BINARY))"
	return condition, append(params, table, table)
}

// tableColumns returns the columns of a table in the server's order, also invisible ones.
func (s *session) tableColumns(ctx context.Context, name string) ([]column, error) {
	condition, params := named(name)
	found, err := s.rows(ctx, `
		SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE FROM information_schema.COLUMNS
		WHERE `+condition+` ORDER BY ORDINAL_POSITION`, params...)
	if err != nil {
		return nil, fmt.Errorf("reading the columns: %w", err)
	}
	documents, err := s.checkedJSON(ctx, name)
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(found.rows))
	for i, row := range found.rows {
		columns[i] = column{name: row[0], sourceType: row[2], rendering: render(strings.ToLower(row[1]), strings.ToLower(row[2]))}
		if slices.Contains(documents, row[0]) {
			columns[i].rendering = render("json", "")
			columns[i].sourceType = "json"
		}
	}
	return columns, nil
}

// checkedJSON returns the columns that MariaDB's JSON declared: text under a check of its own.
func (s *session) checkedJSON(ctx context.Context, name string) ([]string, error) {
	if !s.mariaDB {
		return nil, nil
	}
	condition, params := named(name)
	found, err := s.rows(ctx, `
		SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
		WHERE LEVEL = 'Column' AND `+strings.Replace(condition, "TABLE_SCHEMA", "CONSTRAINT_SCHEMA", 1), params...)
	if err != nil {
		return nil, fmt.Errorf("reading the checks of the columns: %w", err)
	}
	var columns []string
	for _, row := range found.rows {
		ansi := `"` + strings.ReplaceAll(row[0], `"`, `""`) + `"` // quoted as the SQL mode wants it
		if row[1] == "json_valid("+quoteName(row[0])+")" || row[1] == "json_valid("+ansi+")" {
			columns = append(columns, row[0])
		}
	}
	return columns, nil
}

// derived returns the statement that has a query looked at without being run: as a derived table
// none of whose rows is wanted. What is no query and nothing else cannot be one: INTO OUTFILE, a
// second statement, a WITH before a DELETE.
func derived(query string) string {
	return "SELECT * FROM (" + query + "\n) AS dataset LIMIT 0" // the newline ends a comment that the query ends in
}

// queryColumns returns the columns of a query.
func (s *session) queryColumns(ctx context.Context, query string) ([]column, error) {
	rows, err := s.conn.QueryContext(ctx, derived(query), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the columns of the query: %w", err)
	}
	defer rows.Close()
	names := rows.Columns()
	types := rows.(interface {
		driver.RowsColumnTypeDatabaseTypeName
		driver.RowsColumnTypePrecisionScale
	})
	columns := make([]column, len(names))
	for i, name := range names {
		source := strings.ToLower(types.ColumnTypeDatabaseTypeName(i))
		columns[i] = column{name: name, sourceType: source, rendering: render(strings.TrimPrefix(source, "unsigned "), ""), at: i}
		if _, digits, _ := types.ColumnTypePrecisionScale(i); source == "double" && digits != math.MaxInt64 {
			columns[i].widen = true // DOUBLE(M,D), or like one: the server rounds it to D digits
		}
	}
	if err := rows.Next(make([]driver.Value, len(names))); err != nil && err != io.EOF { //nolint:errorlint // see rows
		return nil, fmt.Errorf("asking for the columns of the query: %w", err)
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
			c.fileType, c.form = ingest.TypeJSON, asJSON
		}
		c.described = s.Describe(c.fileType, c.sourceType)
		if !s.Mask.IsZero() {
			c.mask = s.Mask
		}
		chosen = append(chosen, c)
	}
	return chosen, withheld, nil
}

// selection returns the SELECT of the columns of a table, and notes where each stands in it.
func selection(d catalog.Dataset, columns []column) string {
	expressions := make([]string, len(columns))
	for i := range columns {
		columns[i].at = i
		expressions[i] = quoteName(columns[i].name)
		if columns[i].widen {
			expressions[i] += " + 0e0"
		}
	}
	query := "SELECT " + strings.Join(expressions, ", ") + from(d)
	for i, order := range d.OrderBy { // Dataset.Select has seen to it that the table has these columns
		if i == 0 {
			query += " ORDER BY "
		} else {
			query += ", "
		}
		query += quoteTable(d.Table) + "." + quoteName(order.Column)
		if order.Descending {
			query += " DESC"
		}
	}
	return query
}

// from returns what says which rows of the table are meant.
func from(d catalog.Dataset) string {
	if d.Where == "" {
		return " FROM " + quoteTable(d.Table)
	}
	return " FROM " + quoteTable(d.Table) + " WHERE (" + d.Where + "\n)"
}

// estimate returns how many rows the server expects of a query, 0 when it does not tell: the
// product over the tables that the outermost SELECT joins.
func (s *session) estimate(ctx context.Context, query string) (int64, error) {
	plan, err := s.rows(ctx, "EXPLAIN "+query)
	if number(err) != 0 {
		return 0, nil // a login may be allowed to read a view and not to see how that is done
	}
	if err != nil {
		return 0, fmt.Errorf("estimating rows: %w", err)
	}
	id, kind := slices.Index(plan.names, "id"), slices.Index(plan.names, "select_type")
	rows, filtered := slices.Index(plan.names, "rows"), slices.Index(plan.names, "filtered")
	if id < 0 || kind < 0 || rows < 0 {
		return 0, nil
	}
	product := 1.0
	for _, row := range plan.rows {
		if strings.Contains(row[kind], "UNION") {
			return 0, nil
		}
		n, err := strconv.ParseFloat(row[rows], 64)
		if row[id] != "1" || err != nil {
			continue
		}
		product *= n
		if filtered >= 0 {
			if share, err := strconv.ParseFloat(row[filtered], 64); err == nil {
				product *= share / 100
			}
		}
	}
	return int64(min(product, math.MaxInt32)), nil
}
