package testbed

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"hash"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/mongodb"
)

// Dataset is a dataset of the test's own: the rows 1 to Rows, each its number twice, once filled
// with dots from the left to Width. What its file must be is known without asking the product.
type Dataset struct {
	Name  string
	Rows  int
	Width int
}

// datasets are the same in every database, except that the server that stands in for MongoDB is slow
// and gets fewer and wider rows.
func datasets(db ingest.Database) []Dataset {
	large := Dataset{"grande", 150_000, 200} // about 31 MB, which is six parts
	if db == ingest.MongoDB {
		large = Dataset{"grande", 6_000, 4_000}
	}
	return []Dataset{{"chica", 1_000, 40}, large}
}

// Small and Large are the names of the datasets of every database.
const (
	Small = "chica"
	Large = "grande"
)

// Databases are those that have the test's data.
func Databases() []ingest.Database {
	return []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL}
}

// Text returns the text of a row.
func (d Dataset) Text(row int) string {
	return fmt.Sprintf("%s%d", strings.Repeat(".", d.Width-len(fmt.Sprint(row))), row)
}

// table returns the name of the table or collection.
func (d Dataset) table() string { return "prueba_" + d.Name }

// File is what the object of a dataset must be.
type File struct {
	Rows   int64
	Bytes  int64
	SHA256 string
}

// File returns what the object of the dataset must be.
func (d Dataset) File() File {
	f := File{Rows: int64(d.Rows)}
	sum := sha256.New()
	write := func(sum hash.Hash, line string) {
		f.Bytes += int64(len(line))
		_, _ = sum.Write([]byte(line)) // never fails
	}
	write(sum, "id,texto\n")
	for row := 1; row <= d.Rows; row++ {
		write(sum, fmt.Sprintf("%d,%s\n", row, d.Text(row)))
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f
}

// catalogFile writes the catalog of the test's datasets.
func catalogFile(t testing.TB) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("version: 1\ndatabases:\n")
	for _, db := range Databases() {
		fmt.Fprintf(&text, "  - name: %s\n    datasets:\n", db)
		for _, d := range datasets(db) {
			if db == ingest.MongoDB {
				fmt.Fprintf(&text, "      - {name: %s, collection: %s, columns: [id, texto]}\n", d.Name, d.table())
				continue
			}
			fmt.Fprintf(&text, "      - name: %s\n        requires: [%s]\n        query: SELECT id, texto FROM %s ORDER BY id\n        columns: [id, texto]\n", d.Name, d.table(), d.table())
		}
	}
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const fillTimeout = 2 * time.Minute

// fill makes the tables that are not there yet.
func (s *Servers) fill() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), fillTimeout)
	defer cancel()
	for name, fill := range map[string]func(context.Context) error{
		"PostgreSQL": s.fillPostgreSQL, "MariaDB": s.fillMySQL, "MongoDB": s.fillMongoDB,
	} {
		if err := fill(ctx); err != nil {
			s.t.Fatalf("filling %s: %v", name, err)
		}
	}
}

// PostgreSQL returns a connection of the administrator to the source's database.
func (s *Servers) PostgreSQL(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, (&url.URL{
		Scheme: "postgres", User: url.UserPassword(s.Env["LOCAL_POSTGRES_ADMIN_USER"], s.Env["LOCAL_POSTGRES_ADMIN_PASSWORD"]),
		Host: s.address("POSTGRES"), Path: s.Env["POSTGRES_DATABASE"],
	}).String())
}

func (s *Servers) fillPostgreSQL(ctx context.Context) error {
	conn, err := s.PostgreSQL(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, d := range datasets(ingest.PostgreSQL) {
		_, err := conn.Exec(ctx, fmt.Sprintf(`
			CREATE TABLE IF NOT EXISTS %[1]s (id integer PRIMARY KEY, texto text NOT NULL);
			INSERT INTO %[1]s SELECT i, lpad(i::text, %[3]d, '.') FROM generate_series(1, %[2]d) i ON CONFLICT DO NOTHING;
			GRANT SELECT ON %[1]s TO %[4]s; ANALYZE %[1]s`, d.table(), d.Rows, d.Width, s.Env["POSTGRES_USER"]))
		if err != nil {
			return err
		}
	}
	return nil
}

// MySQL returns a connection of the administrator to the source's database.
func (s *Servers) MySQL() (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", s.address("SOURCE_MYSQL")
	cfg.User, cfg.Passwd = s.Env["LOCAL_MYSQL_ADMIN_USER"], s.Env["LOCAL_MYSQL_ADMIN_PASSWORD"]
	cfg.DBName = s.Env["SOURCE_MYSQL_DATABASE"]
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func (s *Servers) fillMySQL(ctx context.Context) error {
	db, err := s.MySQL()
	if err != nil {
		return err
	}
	defer db.Close()
	for _, d := range datasets(ingest.MySQL) {
		for _, statement := range []string{
			"CREATE TABLE IF NOT EXISTS %[1]s (id int PRIMARY KEY, texto varchar(4000) NOT NULL)",
			"INSERT IGNORE INTO %[1]s SELECT seq, LPAD(seq, %[3]d, '.') FROM seq_1_to_%[2]d",
		} {
			if _, err := db.ExecContext(ctx, fmt.Sprintf(strings.ReplaceAll(statement, "%[3]d", fmt.Sprint(d.Width)), d.table(), d.Rows)); err != nil {
				return err
			}
		}
	}
	return nil
}

// MongoDB returns a client of the source's server and its database.
func (s *Servers) MongoDB() (*mongo.Client, *mongo.Database, error) {
	var cfg mongodb.Config
	if _, err := config.Load(&cfg, s.environ()); err != nil {
		return nil, nil, err
	}
	options, err := cfg.Driver()
	if err != nil {
		return nil, nil, err
	}
	client, err := mongo.Connect(options)
	if err != nil {
		return nil, nil, err
	}
	return client, client.Database(cfg.Database), nil
}

func (s *Servers) fillMongoDB(ctx context.Context) error {
	client, db, err := s.MongoDB()
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	for _, d := range datasets(ingest.MongoDB) {
		collection := db.Collection(d.table())
		there, err := collection.CountDocuments(ctx, bson.D{})
		if err != nil {
			return err
		}
		if there == int64(d.Rows) {
			continue
		}
		if err := collection.Drop(ctx); err != nil { // half filled, by a run that was killed
			return err
		}
		const batch = 500
		for first := 1; first <= d.Rows; first += batch {
			documents := make([]any, 0, batch)
			for row := first; row < first+batch && row <= d.Rows; row++ {
				documents = append(documents, bson.D{{Key: "id", Value: int32(row)}, {Key: "texto", Value: d.Text(row)}})
			}
			if _, err := collection.InsertMany(ctx, documents); err != nil {
				return err
			}
		}
	}
	return nil
}

// KillSessions has PostgreSQL or MySQL end every session of the workers.
func (s *Servers) KillSessions(ctx context.Context, db ingest.Database) error {
	if db == ingest.PostgreSQL {
		conn, err := s.PostgreSQL(ctx)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", s.Env["POSTGRES_USER"])
		return err
	}
	pool, err := s.MySQL()
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = pool.ExecContext(ctx, "KILL USER "+s.Env["SOURCE_MYSQL_USER"])
	return err
}
