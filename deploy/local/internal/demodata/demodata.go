// Package demodata gives PharmaVida's PostgreSQL and MySQL sources their schema, their read-only user
// and demonstration data, and Flowlite its empty database.
//
// The data is the same for the same size on every machine. A load that already stands is left alone:
// its mark, a table comment written last, names the script and the size it was made with.
//
// Not a goal: MongoDB, whose data needs its driver (cmd/mongodata).
package demodata

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

var (
	//go:embed postgresql.sql
	postgresqlSQL string
	//go:embed mysql.sql
	mysqlSQL string
)

// Size is how much there is of everything.
type Size struct {
	Productos, Ofertas int // PostgreSQL
	Users, Compras     int // MySQL
	Medicos, Recetas   int // MongoDB
}

// RowsVariable scales the data: with N, productos, users and compras have N rows, ofertas N/3 and
// recetas N, medicos N/3, none fewer than by default. DocumentsVariable sets recetas apart.
const (
	RowsVariable      = "DEMO_ROWS"
	DocumentsVariable = "DEMO_DOCUMENTS"
)

// mostDocuments bounds recetas under RowsVariable alone: the MongoDB stand-in reads a few thousand
// documents a second, and millions would make every run a matter of many minutes.
const mostDocuments = 50_000

// NewSize reads the size from the environment.
func NewSize(getenv func(string) string) (Size, error) {
	count := func(variable string) (int, error) {
		text := getenv(variable)
		if text == "" {
			return 0, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("%s=%q is not a positive number", variable, text)
		}
		return n, nil
	}
	rows, err := count(RowsVariable)
	if err != nil {
		return Size{}, err
	}
	documents, err := count(DocumentsVariable)
	if err != nil {
		return Size{}, err
	}
	if documents == 0 {
		documents = min(rows, mostDocuments)
	}
	return Size{
		Productos: max(rows, 300), Ofertas: max(rows/3, 100),
		Users: max(rows, 500), Compras: max(rows, 2000),
		Medicos: max(documents/3, 150), Recetas: max(documents, 450),
	}, nil
}

// render fills the placeholders of a script; mark identifies the script and the size.
func render(script string, size Size) (sql, mark string) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v", script, size))
	mark = "demo data " + hex.EncodeToString(sum[:8])
	return strings.NewReplacer(
		"{{productos}}", strconv.Itoa(size.Productos),
		"{{ofertas}}", strconv.Itoa(size.Ofertas),
		"{{users}}", strconv.Itoa(size.Users),
		"{{compras}}", strconv.Itoa(size.Compras),
		"{{mark}}", mark,
	).Replace(script), mark
}

// Login is a database with the account that uses it.
type Login struct {
	Database, User, Password string // plain words: letters, digits, underscores
}

// PostgreSQL loads the source into the database named by login, whose user may only read. It reports
// whether there was anything to do.
func PostgreSQL(ctx context.Context, admin server.Postgres, login Login, size Size) (loaded bool, err error) {
	exists, err := admin.Run(ctx, "postgres", fmt.Sprintf("SELECT 1 FROM pg_database WHERE datname = '%s'", login.Database))
	if err != nil {
		return false, err
	}
	if strings.TrimSpace(exists) == "" {
		if _, err := admin.Run(ctx, "postgres", "CREATE DATABASE "+login.Database); err != nil {
			return false, err
		}
	}
	// CREATE ROLE knows no IF NOT EXISTS.
	_, err = admin.Run(ctx, login.Database, fmt.Sprintf(`
DO $$ BEGIN
    CREATE ROLE %[1]s;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER ROLE %[1]s LOGIN PASSWORD '%[2]s';
`, login.User, login.Password))
	if err != nil {
		return false, err
	}
	sql, mark := render(postgresqlSQL, size)
	have, err := admin.Run(ctx, login.Database, "SELECT obj_description(to_regclass('public.ofertas_detalle'), 'pg_class')")
	if err != nil {
		return false, err
	}
	if strings.TrimSpace(have) == mark {
		return false, nil
	}
	if _, err := admin.Run(ctx, login.Database, "BEGIN;\n"+sql+"COMMIT;\nVACUUM ANALYZE;\n"); err != nil {
		return false, fmt.Errorf("loading the PostgreSQL source: %w", err)
	}
	return true, nil
}

// MySQL loads the source into the database named by source, whose user may only read, and makes the
// empty database of Flowlite, whose user may do everything in it.
func MySQL(ctx context.Context, admin server.MariaDB, source, flowlite Login, size Size) (loaded bool, err error) {
	var accounts strings.Builder
	for _, l := range []struct {
		Login
		rights string
	}{{source, "SELECT"}, {flowlite, "ALL PRIVILEGES"}} {
		fmt.Fprintf(&accounts, "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n", l.Database)
		fmt.Fprintf(&accounts, "CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s';\n", l.User, l.Password)
		fmt.Fprintf(&accounts, "GRANT %s ON `%s`.* TO '%s'@'%%';\n", l.rights, strings.ReplaceAll(l.Database, "_", `\_`), l.User)
	}
	if _, err := admin.Run(ctx, "mysql", accounts.String()); err != nil {
		return false, err
	}
	sql, mark := render(mysqlSQL, size)
	have, err := admin.Run(ctx, "information_schema", fmt.Sprintf(
		"SELECT TABLE_COMMENT FROM TABLES WHERE TABLE_SCHEMA = '%s' AND TABLE_NAME = 'compra_cantidades'", source.Database))
	if err != nil {
		return false, err
	}
	if strings.TrimSpace(have) == mark {
		return false, nil
	}
	if _, err := admin.Run(ctx, source.Database, sql); err != nil {
		return false, fmt.Errorf("loading the MySQL source: %w", err)
	}
	return true, nil
}
