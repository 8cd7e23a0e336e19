package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// sourceSettings say where the sources are.
type sourceSettings struct {
	MongoHost     string        `env:"MONGO_HOST" envDefault:"localhost"`
	MongoPort     int           `env:"MONGO_PORT" envDefault:"27017"`
	MongoUser     string        `env:"MONGO_USER"`
	MongoPassword config.Secret `env:"MONGO_PASSWORD"`
	MongoDatabase string        `env:"MONGO_DATABASE" envDefault:"pharmavida_db"`

	MySQLHost     string        `env:"SOURCE_MYSQL_HOST" envDefault:"localhost"`
	MySQLPort     int           `env:"SOURCE_MYSQL_PORT" envDefault:"3306"`
	MySQLUser     string        `env:"SOURCE_MYSQL_USER"`
	MySQLPassword config.Secret `env:"SOURCE_MYSQL_PASSWORD"`
	MySQLDatabase string        `env:"SOURCE_MYSQL_DATABASE" envDefault:"pharmavida_db"`

	PostgresHost     string        `env:"POSTGRES_HOST" envDefault:"localhost"`
	PostgresPort     int           `env:"POSTGRES_PORT" envDefault:"5432"`
	PostgresUser     string        `env:"POSTGRES_USER"`
	PostgresPassword config.Secret `env:"POSTGRES_PASSWORD"`
	PostgresDatabase string        `env:"POSTGRES_DATABASE" envDefault:"pharmavida_db"`
}

// How each source counts the rows of a dataset, in its own words and apart from the catalog.
var (
	mongoCounts = map[string]string{"medicos": "medicos", "recetas": "recetas"}
	mysqlCounts = map[string]string{
		"users":   "SELECT COUNT(*) FROM users",
		"compras": "SELECT COUNT(*) FROM compras",
	}
	postgresCounts = map[string]string{
		"productos": "SELECT count(*) FROM productos",
		"ofertas":   "SELECT (SELECT count(*) FROM ofertas_detalle) + (SELECT count(*) FROM ofertas o WHERE NOT EXISTS (SELECT FROM ofertas_detalle d WHERE d.oferta_id = o.id))",
	}
)

// count asks the database itself how many rows each dataset has.
func (s sourceSettings) count(ctx context.Context, database ingest.Database) (map[string]int64, error) {
	counts := map[string]int64{}
	var err error
	switch database {
	case ingest.MongoDB:
		err = s.countMongo(ctx, counts)
	case ingest.MySQL:
		err = s.countMySQL(ctx, counts)
	default:
		err = s.countPostgres(ctx, counts)
	}
	if err != nil {
		return nil, fmt.Errorf("counting the rows of %s: %w", database, err)
	}
	return counts, nil
}

func (s sourceSettings) countMongo(ctx context.Context, counts map[string]int64) error {
	address := url.URL{Scheme: "mongodb", Host: net.JoinHostPort(s.MongoHost, strconv.Itoa(s.MongoPort)), Path: "/"}
	if s.MongoUser != "" {
		address.User = url.UserPassword(s.MongoUser, s.MongoPassword.Reveal())
	}
	client, err := mongo.Connect(options.Client().ApplyURI(address.String()))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	for dataset, collection := range mongoCounts {
		if counts[dataset], err = client.Database(s.MongoDatabase).Collection(collection).CountDocuments(ctx, bson.D{}); err != nil {
			return err
		}
	}
	return nil
}

func (s sourceSettings) countMySQL(ctx context.Context, counts map[string]int64) error {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(s.MySQLHost, strconv.Itoa(s.MySQLPort))
	cfg.User, cfg.Passwd, cfg.DBName = s.MySQLUser, s.MySQLPassword.Reveal(), s.MySQLDatabase
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for dataset, query := range mysqlCounts {
		var n int64
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
			return err
		}
		counts[dataset] = n
	}
	return nil
}

func (s sourceSettings) countPostgres(ctx context.Context, counts map[string]int64) error {
	address := url.URL{
		Scheme: "postgres", Host: net.JoinHostPort(s.PostgresHost, strconv.Itoa(s.PostgresPort)),
		User: url.UserPassword(s.PostgresUser, s.PostgresPassword.Reveal()), Path: "/" + s.PostgresDatabase,
	}
	conn, err := pgx.Connect(ctx, address.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for dataset, query := range postgresCounts {
		var n int64
		if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
			return err
		}
		counts[dataset] = n
	}
	return nil
}
