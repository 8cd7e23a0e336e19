package migrations

import (
	"fmt"
	"regexp"
	"strings"
)

// table is a table of the schema with its columns.
type table struct {
	name    string
	columns []column
}

// column is a column with its type, as information_schema spells it (see normal).
type column struct{ name, kind string }

const (
	boolean = "tinyint(1)"
	uuid    = "char(36)"
)

// schema is Flowlite's nine tables as the newest migration leaves them; so does every one so far.
// A table comes after those that it refers to.
var schema = []table{
	{"User", []column{
		{"id_user", uuid}, {"username", "varchar(100)"}, {"email", "varchar(255)"}, {"password", "varchar(255)"},
		{"role", "varchar(50)"}, {"active", boolean},
	}},
	{"Role", []column{{"id_role", uuid}, {"role_name", "varchar(100)"}}},
	{"UserInfo", []column{
		{"id_user", uuid}, {"primerNombre", "varchar(100)"}, {"primerApellido", "varchar(100)"}, {"telefono", "varchar(20)"},
		{"direccion", "varchar(255)"}, {"numeroIdentificacion", "varchar(50)"},
	}},
	{"Bank", []column{{"id_bank", uuid}, {"bank_name", "varchar(255)"}}},
	{"TransactionCategory", []column{{"id_category", uuid}, {"description", "varchar(255)"}}},
	{"TransactionBatch", []column{
		{"id_batch", uuid}, {"process_status", "varchar(50)"}, {"start_date", "datetime"}, {"end_date", "datetime"},
		{"batch_size", "int"},
	}},
	{"Transaction", []column{
		{"id_transaction", uuid}, {"id_user", uuid}, {"id_category", uuid}, {"id_bank", uuid}, {"id_batch", uuid},
		{"transaction_name", "varchar(255)"}, {"value", "decimal(15,2)"}, {"transaction_date", "datetime"},
		{"transaction_type", "varchar(50)"},
	}},
	{"InsightCategory", []column{{"id_category", uuid}, {"description", "varchar(255)"}}},
	{"Insights", []column{
		{"id_insight", uuid}, {"id_user", uuid}, {"id_category", uuid}, {"title", "varchar(255)"}, {"text", "text"},
		{"relevance", "int"}, {"created_at", "datetime"},
	}},
}

// alembicTable is where Alembic keeps its revision; services look there for alembicRevision.
var alembicTable = table{"alembic_version", []column{{"version_num", "varchar(32)"}}}

const alembicRevision = "001"

// kept are the tables that the migrator keeps for itself, as golang-migrate and makeHistory make them.
var kept = []table{
	{versionTable, []column{{"version", "bigint"}, {"dirty", boolean}}},
	{historyTable, []column{
		{"id", "bigint"}, {"version", "bigint"}, {"name", "varchar(255)"}, {"action", "varchar(16)"}, {"at", "datetime(3)"},
		{"duration_ms", "bigint"},
	}},
}

// expected returns the tables that a database at the version has. A migration that adds or alters
// tables or columns says so here: a test holds the result against what the migrations make.
func expected(version uint) []table {
	if version == 0 {
		return nil
	}
	return append(schema[:len(schema):len(schema)], alembicTable)
}

// displayWidth is what MariaDB and old servers add to the types of integers. It means nothing.
var displayWidth = regexp.MustCompile(`^(tinyint|smallint|mediumint|int|bigint)\(\d+\)`)

// normal spells a COLUMN_TYPE of information_schema the same for all servers.
func normal(kind string) string {
	kind = strings.ToLower(kind)
	if strings.HasPrefix(kind, boolean) { // BOOLEAN: the only width that tells something
		return kind
	}
	return displayWidth.ReplaceAllString(kind, "$1")
}

// compare returns, in words, each thing of want that is not in the database as found. What is
// there beyond want does not matter.
func compare(want []table, found survey) (problems []string) {
	for _, t := range want {
		columns, ok := found.columns(t.name)
		if !ok {
			problem := "table " + t.name + " is missing"
			if other := found.otherCase(t.name); other != "" {
				problem += ": there is " + other + ", but this server tells upper from lower case"
			}
			problems = append(problems, problem)
			continue
		}
		if odd := found.odd[found.key(t.name)]; odd != "" {
			problems = append(problems, "table "+t.name+" "+odd)
		}
		problems = append(problems, t.compare(columns)...)
	}
	return problems
}

// compare returns what is wrong with the columns of the table, of which there are these.
func (t table) compare(columns map[string]string) (problems []string) {
	for _, c := range t.columns {
		switch kind, ok := columns[strings.ToLower(c.name)]; {
		case !ok:
			problems = append(problems, fmt.Sprintf("column %s.%s is missing: it is to be %s", t.name, c.name, c.kind))
		case kind != c.kind:
			problems = append(problems, fmt.Sprintf("column %s.%s is %s, and is to be %s", t.name, c.name, kind, c.kind))
		}
	}
	return problems
}

// compareRevision returns what is wrong with Alembic's revision. That its table or column is
// missing is for compare to tell.
func compareRevision(found survey) (problems []string) {
	if len(compare([]table{alembicTable}, found)) > 0 {
		return nil
	}
	switch revisions := found.revisions; {
	case len(revisions) == 0:
		return []string{"table alembic_version is empty: it is to hold " + alembicRevision}
	case len(revisions) > 1 || revisions[0] != alembicRevision:
		return []string{fmt.Sprintf("table alembic_version holds %s, and is to hold %s", strings.Join(revisions, ", "), alembicRevision)}
	}
	return nil
}
