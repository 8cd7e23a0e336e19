package main

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"

	driver "github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/mysql"
)

//go:embed mysql.sql
var mysqlSQL string

// mysqlSource is PharmaVida's MySQL, or a MariaDB in its place.
type mysqlSource struct {
	pinger
	cfg mysql.Config
}

func (mysqlSource) Database() ingest.Database { return ingest.MySQL }

// Load makes the tables anew unless they stand. MySQL's DDL knows no transactions: each table is
// commented on as it is made, so that what a load cut short has left can be told from others' tables.
func (s mysqlSource) Load(ctx context.Context, size Size) (made string, err error) {
	cfg := s.cfg.Driver()
	cfg.MultiStatements = true
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return "", fmt.Errorf("reading the SOURCE_MYSQL_* settings: %w", err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()

	script := newScript(mysqlSQL, "compra_cantidades", map[string]int{"users": size.Users, "compras": size.Compras})
	comments, err := mysqlComments(ctx, db)
	if err != nil {
		return "", fmt.Errorf("looking for tables: %w", err)
	}
	if stands, err := script.stands(s.cfg.Database, comments); err != nil || stands {
		return "", err
	}
	if _, err := db.ExecContext(ctx, script.sql); err != nil {
		return "", fmt.Errorf("making the tables: %w", err)
	}
	return fmt.Sprintf("%d users, %d compras", size.Users, size.Compras), nil
}

// mysqlComments returns those of the tables to be made that exist, with their comments.
func mysqlComments(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ('users', 'compras', 'compra_productos', 'compra_cantidades')`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	comments := map[string]string{}
	for rows.Next() {
		var table, comment string
		if err := rows.Scan(&table, &comment); err != nil {
			return nil, err
		}
		comments[table] = comment
	}
	return comments, rows.Err()
}
