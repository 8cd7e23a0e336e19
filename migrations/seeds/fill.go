package seeds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// filler empties and fills the tables within one transaction.
type filler struct {
	tx      *sql.Tx
	hashes  map[string]string // of the passwords, by email address
	summary Summary
	ids     map[named]string // in the database, of the rows that others refer to
}

// named is a row that others refer to, as the data speaks of it: a bank and its name, a user and
// the email address.
type named struct{ table, name string }

// row is a row to be there: its key, and what it holds when it is inserted.
type row struct {
	table, key, id string
	columns        []string
	values         []any
}

func newFiller(tx *sql.Tx, hashes map[string]string) *filler {
	f := &filler{tx: tx, hashes: hashes, ids: map[named]string{}}
	for _, table := range tables {
		f.summary.Tables = append(f.summary.Tables, TableSummary{Table: table})
	}
	return f
}

// count returns the counters of a table.
func (f *filler) count(table string) *TableSummary {
	return &f.summary.Tables[slices.Index(tables, table)]
}

// clean deletes every row. With DELETE: TRUNCATE would commit.
func (f *filler) clean(ctx context.Context) error {
	for _, table := range slices.Backward(tables) {
		result, err := f.tx.ExecContext(ctx, "DELETE FROM `"+table+"`")
		if err != nil {
			return fmt.Errorf("emptying the table %s: %w", table, err)
		}
		deleted, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("counting what was deleted from the table %s: %w", table, err)
		}
		f.count(table).Deleted = int(deleted)
	}
	return nil
}

// fill inserts what is missing. What others refer to comes first.
func (f *filler) fill(ctx context.Context) error {
	for _, catalog := range []struct {
		table, key, column string
		names              []string
	}{
		{"Role", "id_role", "role_name", roles},
		{"Bank", "id_bank", "bank_name", banks},
		{"TransactionCategory", "id_category", "description", categories},
		{"InsightCategory", "id_category", "description", insightCategories},
	} {
		for _, name := range catalog.names {
			if err := f.entry(ctx, catalog.table, catalog.key, catalog.column, name); err != nil {
				return err
			}
		}
	}
	for _, p := range people {
		if err := f.person(ctx, p); err != nil {
			return err
		}
	}
	for _, s := range statements {
		if err := f.statement(ctx, s); err != nil {
			return err
		}
	}
	for _, i := range insights {
		if err := f.insight(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// entry sees to a row of a catalog, which is nothing but a name.
func (f *filler) entry(ctx context.Context, table, key, column, name string) error {
	ours := id(table, name)
	found, err := f.find(ctx, table, key, column, ours, name)
	if err != nil {
		return err
	}
	if found != "" {
		f.ids[named{table, name}] = found
		f.count(table).Present++
		return nil
	}
	f.ids[named{table, name}] = ours
	return f.insert(ctx, row{table, key, ours, []string{column}, []any{name}})
}

// person sees to a user and what is known about them.
func (f *filler) person(ctx context.Context, p person) error {
	ours := id("User", p.email)
	found, err := f.find(ctx, "User", "id_user", "email", ours, p.email)
	if err != nil {
		return err
	}
	switch found {
	case "":
		err := f.insert(ctx, row{"User", "id_user", ours,
			[]string{"username", "email", "password", "role", "active"},
			[]any{p.username, p.email, f.hashes[p.email], p.role, p.active}})
		if err != nil {
			return err
		}
	case ours:
		f.count("User").Present++
	default:
		f.summary.Strangers = append(f.summary.Strangers, p.email)
		f.count("User").Present++
		f.count("UserInfo").Skipped++
		return nil
	}
	f.ids[named{"User", p.email}] = ours
	return f.ensure(ctx, row{"UserInfo", "id_user", ours,
		[]string{"primerNombre", "primerApellido", "telefono", "direccion", "numeroIdentificacion"},
		[]any{p.nombre, p.apellido, p.telefono, p.direccion, p.identificacion}})
}

// statement sees to a batch and its transactions.
func (f *filler) statement(ctx context.Context, s statement) error {
	owner, ours := f.ids[named{"User", s.user}]
	if !ours {
		f.count("TransactionBatch").Skipped++
		f.count("Transaction").Skipped += len(s.transactions)
		return nil
	}
	batch := id("TransactionBatch", s.user, s.bank, s.name)
	var end any
	if s.end != "" {
		end = ago(s.days, s.end)
	}
	err := f.ensure(ctx, row{"TransactionBatch", "id_batch", batch,
		[]string{"process_status", "start_date", "end_date", "batch_size"},
		[]any{s.status, ago(s.days, s.start), end, s.size}})
	if err != nil {
		return err
	}
	for _, t := range s.transactions {
		when := ago(t.days, t.clock)
		err := f.ensure(ctx, row{"Transaction", "id_transaction", id("Transaction", batch, when, t.name),
			[]string{"id_user", "id_category", "id_bank", "id_batch", "transaction_name", "value", "transaction_date", "transaction_type"},
			[]any{
				owner, f.ids[named{"TransactionCategory", t.category}], f.ids[named{"Bank", s.bank}], batch,
				t.name, t.value, when, t.kind(),
			}})
		if err != nil {
			return err
		}
	}
	return nil
}

// insight sees to an insight.
func (f *filler) insight(ctx context.Context, i insight) error {
	owner, ours := f.ids[named{"User", i.user}]
	if !ours {
		f.count("Insights").Skipped++
		return nil
	}
	when := ago(i.days, i.clock)
	return f.ensure(ctx, row{"Insights", "id_insight", id("Insights", i.user, when, i.title),
		[]string{"id_user", "id_category", "title", "text", "relevance", "created_at"},
		[]any{owner, f.ids[named{"InsightCategory", i.category}], i.title, i.text, i.relevance, when}})
}

// find returns the id of the row that has our id or, if there is none, of one that has this name
// in a column, as the database compares names. It returns "" when there is neither.
func (f *filler) find(ctx context.Context, table, key, column, ours, name string) (found string, err error) {
	err = f.tx.QueryRowContext(ctx,
		fmt.Sprintf("SELECT `%s` FROM `%s` WHERE `%s` = ? OR `%s` = ? ORDER BY `%s` = ? DESC, `%s` LIMIT 1", key, table, key, column, key, key),
		ours, name, ours).Scan(&found)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("looking for %s in the table %s: %w", name, table, err)
	}
	return found, nil
}

// ensure inserts the row unless one of its id is there, which is counted.
func (f *filler) ensure(ctx context.Context, r row) error {
	var there bool
	err := f.tx.QueryRowContext(ctx, fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM `%s` WHERE `%s` = ?)", r.table, r.key), r.id).Scan(&there)
	if err != nil {
		return fmt.Errorf("looking for a row of the table %s: %w", r.table, err)
	}
	if there {
		f.count(r.table).Present++
		return nil
	}
	return f.insert(ctx, r)
}

// insert inserts the row, and counts it.
func (f *filler) insert(ctx context.Context, r row) error {
	columns := append([]string{r.key}, r.columns...)
	statement := fmt.Sprintf("INSERT INTO `%s` (`%s`) VALUES (?%s)", r.table, strings.Join(columns, "`, `"), strings.Repeat(", ?", len(r.values)))
	if _, err := f.tx.ExecContext(ctx, statement, append([]any{r.id}, r.values...)...); err != nil {
		if refused, ok := errors.AsType[*mysql.MySQLError](err); ok && refused.Number == duplicateKey {
			err = &TakenError{Table: r.table, ID: r.id, cause: refused}
		}
		return fmt.Errorf("inserting into the table %s: %w", r.table, err)
	}
	f.count(r.table).Inserted++
	return nil
}
