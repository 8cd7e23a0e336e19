package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/postgresql"
)

//go:embed postgresql.sql
var postgresqlSQL string

// postgresSource is PharmaVida's PostgreSQL.
type postgresSource struct {
	pinger
	cfg postgresql.Config
}

func (postgresSource) Database() ingest.Database { return ingest.PostgreSQL }

// Load makes the tables anew unless they stand, all in one transaction.
func (s postgresSource) Load(ctx context.Context, size Size) (made string, err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()

	script := newScript(postgresqlSQL, "ofertas_detalle", map[string]int{"productos": size.Productos, "ofertas": size.Ofertas})
	comments, err := postgresComments(ctx, conn)
	if err != nil {
		return "", fmt.Errorf("looking for tables: %w", err)
	}
	if stands, err := script.stands(s.cfg.Database, comments); err != nil || stands {
		return "", err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, script.sql, pgx.QueryExecModeSimpleProtocol) // which takes several statements
		return err
	})
	if err != nil {
		return "", fmt.Errorf("making the tables: %w", err)
	}
	if _, err := conn.Exec(ctx, "VACUUM ANALYZE productos, ofertas, ofertas_detalle"); err != nil {
		return "", fmt.Errorf("gathering statistics: %w", err)
	}
	return fmt.Sprintf("%d productos, %d ofertas", size.Productos, size.Ofertas), nil
}

func (s postgresSource) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(s.cfg.ConnString())
	if err != nil {
		return nil, errors.New("reading the POSTGRES_* settings: they do not make a valid address") // err may quote the password
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, nil
}

// postgresComments returns those of the tables to be made that exist, with their comments.
func postgresComments(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	rows, err := conn.Query(ctx, `SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
WHERE oid IN (to_regclass('productos'), to_regclass('ofertas'), to_regclass('ofertas_detalle'))`)
	if err != nil {
		return nil, err
	}
	comments := map[string]string{}
	var table, comment string
	_, err = pgx.ForEachRow(rows, []any{&table, &comment}, func() error {
		comments[table] = comment
		return nil
	})
	return comments, err
}
