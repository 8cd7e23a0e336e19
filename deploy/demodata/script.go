package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// madeHere begins the comment on every table that this program makes in MySQL, and on the last one
// that it makes in PostgreSQL.
const madeHere = "demo data"

// script is the SQL that makes the tables of one database for one size.
type script struct {
	marked string // the table that bears the mark, which is set last
	mark   string // names the script and the size
	sql    string
}

// newScript fills the placeholders of a text: {{name}} is a number of rows, {{1 to name}} a derived
// table of that many numbers for MySQL, and {{mark}} the mark.
func newScript(text, marked string, rows map[string]int) script {
	var pairs []string
	for name, n := range rows {
		pairs = append(pairs, "{{"+name+"}}", strconv.Itoa(n), "{{1 to "+name+"}}", numbers(n))
	}
	sql := strings.NewReplacer(pairs...).Replace(text)
	sum := sha256.Sum256([]byte(sql))
	mark := madeHere + " " + hex.EncodeToString(sum[:8])
	return script{marked: marked, mark: mark, sql: strings.ReplaceAll(sql, "{{mark}}", mark)}
}

// stands reports whether the load stands already, by the comments of those of its tables that exist.
// It is an error when one of them is not this program's: making the load anew would drop it.
func (s script) stands(database string, comments map[string]string) (bool, error) {
	switch comment := comments[s.marked]; {
	case comment == s.mark:
		return true, nil
	case strings.HasPrefix(comment, madeHere): // a whole load, of another size or version
		return false, nil
	}
	var foreign []string
	for table, comment := range comments {
		if !strings.HasPrefix(comment, madeHere) {
			foreign = append(foreign, table)
		}
	}
	if len(foreign) == 0 {
		return false, nil
	}
	slices.Sort(foreign)
	return false, notOurs(database, foreign)
}

// notOurs says that these tables or collections stand in the way.
func notOurs(database string, names []string) error {
	return fmt.Errorf("the database %s holds %s, which this program did not make and will not replace: drop what is there, or name another database",
		database, strings.Join(names, ", "))
}

// numbers is a derived table of the numbers from 1 to n, at most mostRows, in its column seq. MySQL has no
// function for that, and MariaDB's sequence engine is its own. Digits to the base 1000 take fewer recursions
// than either server allows by default, and joining them is faster than recursing n times. The lowest digit
// comes first: both servers keep it in memory and read the next one, so the numbers come nearly in order.
func numbers(n int) string {
	seq, from := "1 + d0.n", "digit AS d0"
	var where strings.Builder
	for i, unit := 1, 1000; unit < n; i, unit = i+1, unit*1000 {
		seq += fmt.Sprintf(" + d%d.n * %d", i, unit)
		from += fmt.Sprintf(" STRAIGHT_JOIN digit AS d%d", i)
		fmt.Fprintf(&where, "d%d.n <= %d AND ", i, (n-1)/unit)
	}
	return fmt.Sprintf(`(
    WITH RECURSIVE digit AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM digit WHERE n < 999)
    SELECT %[1]s AS seq FROM %[2]s WHERE %[3]s%[1]s <= %[4]d
)`, seq, from, where.String(), n)
}
