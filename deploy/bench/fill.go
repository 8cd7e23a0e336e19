package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/ingest"
)

//go:embed postgresql.sql
var postgresqlSQL string

//go:embed mysql.sql
var mysqlSQL string

// script returns the SQL that makes the table of a dataset, and the mark that tells that it was made
// so: a comment on the table, which is set last.
func script(text string, d dataset) (sql, mark string) {
	sql = strings.NewReplacer("{{table}}", d.Table, "{{rows}}", strconv.Itoa(d.Rows)).Replace(text)
	sum := sha256.Sum256([]byte(sql))
	return sql, "bench " + hex.EncodeToString(sum[:8])
}

// fill loads a dataset into its database, unless it is there already.
func (b *bench) fill(ctx context.Context, d dataset) error {
	var err error
	switch d.Database {
	case ingest.PostgreSQL:
		err = b.fillPostgreSQL(ctx, d)
	case ingest.MySQL:
		err = b.fillMySQL(ctx, d)
	case ingest.MongoDB:
		err = b.replayRecetas(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("loading %s into %s: %w", d.Table, d.Database, err)
	}
	return nil
}

// openPostgreSQL returns a connection of the administrator to the source's database.
func (b *bench) openPostgreSQL(ctx context.Context) (*pgx.Conn, error) {
	env := b.stack.env
	return pgx.Connect(ctx, (&url.URL{
		Scheme: "postgres", User: url.UserPassword(env["LOCAL_POSTGRES_ADMIN_USER"], env["LOCAL_POSTGRES_ADMIN_PASSWORD"]),
		Host: b.stack.address("POSTGRES"), Path: env["POSTGRES_DATABASE"],
	}).String())
}

// openMySQL returns connections of the administrator to the source's database.
func (b *bench) openMySQL() (*sql.DB, error) {
	env := b.stack.env
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.DBName = "tcp", b.stack.address("SOURCE_MYSQL"), env["SOURCE_MYSQL_DATABASE"]
	cfg.User, cfg.Passwd = env["LOCAL_MYSQL_ADMIN_USER"], env["LOCAL_MYSQL_ADMIN_PASSWORD"]
	cfg.MultiStatements = true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// fillPostgreSQL loads a table of productos, with statistics and a visibility map as an old table has
// them.
func (b *bench) fillPostgreSQL(ctx context.Context, d dataset) error {
	conn, err := b.openPostgreSQL(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // what was done is committed
	if err := conn.QueryRow(ctx, "SHOW server_version").Scan(&b.machine.PostgreSQL); err != nil {
		return err
	}
	sql, mark := script(postgresqlSQL, d)
	var there *string
	err = conn.QueryRow(ctx, "SELECT obj_description(to_regclass($1), 'pg_class')", d.Table).Scan(&there)
	if err != nil || there != nil && *there == mark {
		return err
	}
	b.say("loading", "%s, %d rows", d.Table, d.Rows)
	for _, statement := range []string{sql, "VACUUM ANALYZE " + d.Table, fmt.Sprintf("COMMENT ON TABLE %s IS '%s'", d.Table, mark), "CHECKPOINT"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// fillMySQL loads a table of users.
func (b *bench) fillMySQL(ctx context.Context, d dataset) error {
	db, err := b.openMySQL()
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&b.machine.MySQL); err != nil {
		return err
	}
	text, mark := script(mysqlSQL, d)
	var there string
	err = db.QueryRowContext(ctx, "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?", d.Table).Scan(&there)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || there == mark {
		return err
	}
	b.say("loading", "%s, %d rows", d.Table, d.Rows)
	if _, err := db.ExecContext(ctx, text); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s COMMENT = '%s'", d.Table, mark))
	return err
}
