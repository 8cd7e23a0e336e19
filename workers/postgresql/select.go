package postgresql

import (
	"fmt"
	"strings"

	"github.com/pharmavida/ingesta/shared/catalog"
)

// selection is the SELECT of a dataset's columns, in its parts.
type selection struct {
	list  string // of expressions
	from  string
	where string // a condition of the catalog; may be empty
	order string // may be empty
}

// selectFrom returns the selection of the chosen columns. A query is a subquery whose columns are
// named anew, because a query may repeat a name.
func selectFrom(d catalog.Dataset, all, chosen []column) selection {
	expressions := make([]string, len(chosen))
	for i, c := range chosen {
		expressions[i] = c.expression(quoteColumn(c.name))
	}
	s := selection{list: strings.Join(expressions, ", ")}
	if d.Table != "" {
		s.from, s.where = quoteTable(d.Table), d.Where
		order := make([]string, len(d.OrderBy))
		for i, by := range d.OrderBy {
			// With the table's name, lest it be the name of an expression of the list.
			order[i] = s.from + "." + quoteColumn(by.Column)
			if by.Descending {
				order[i] += " DESC"
			}
		}
		s.order = strings.Join(order, ", ")
		return s
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
	s.from = "(" + d.Query + "\n) AS dataset (" + strings.Join(names, ", ") + ")"
	return s
}

// query returns the statement that selects everything, or what meets one more condition.
func (s selection) query(conditions ...string) string {
	if s.where != "" {
		conditions = append(conditions, "(("+s.where+"\n))") // see test
	}
	q := "SELECT " + s.list + " FROM " + s.from
	if len(conditions) > 0 {
		q += " WHERE " + strings.Join(conditions, " AND ")
	}
	if s.order != "" {
		q += " ORDER BY " + s.order
	}
	return q
}

// test returns a statement that the server understands only if the condition is one whole expression,
// or is by the parentheses that query puts around it. One that closes a parenthesis of this statement
// has to go on with THEN or within an expression; there the former is wrong, and the latter is still
// in the second parenthesis. One that closes two is wrong here.
func (s selection) test() string {
	return "SELECT CASE WHEN (" + s.where + "\n) THEN 1 END FROM " + s.from
}
