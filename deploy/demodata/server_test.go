package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/mongodb"
)

// patience bounds each thing that a test does with a server.
const patience = time.Minute

// server is one database of a test's own.
type server interface {
	variables() []string // how the program finds it, with a login that may make tables
	exec(t *testing.T, statement string)
	rows(t *testing.T, table string) (n int, sum string) // of all values, in the order of the rows
}

// newName returns a name that nobody else uses, for a database.
func newName() string { return "demodata_" + strings.ToLower(rand.Text()[:12]) }

// bounded returns a context for one thing to do with a server, also while a test is cleaned up.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	return ctx
}

type mysqlServer struct {
	name string
	db   *sql.DB
	env  []string
}

func newMySQL(t *testing.T) *mysqlServer {
	t.Helper()
	s := &mysqlServer{name: newName()}
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(stacktest.Env(t, "SOURCE_MYSQL_HOST"), stacktest.Env(t, "SOURCE_MYSQL_PORT"))
	cfg.User, cfg.Passwd = stacktest.Env(t, "LOCAL_MYSQL_ADMIN_USER"), stacktest.Env(t, "LOCAL_MYSQL_ADMIN_PASSWORD")
	s.env = []string{
		"SOURCE_MYSQL_HOST=" + stacktest.Env(t, "SOURCE_MYSQL_HOST"), "SOURCE_MYSQL_PORT=" + stacktest.Env(t, "SOURCE_MYSQL_PORT"),
		"SOURCE_MYSQL_USER=" + cfg.User, "SOURCE_MYSQL_PASSWORD=" + cfg.Passwd, "SOURCE_MYSQL_DATABASE=" + s.name,
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.db = sql.OpenDB(connector)
	s.db.SetMaxOpenConns(1) // USE is the connection's
	t.Cleanup(func() { _ = s.db.Close() })
	s.exec(t, "CREATE DATABASE "+s.name+" CHARACTER SET latin1") // the program chooses its own
	t.Cleanup(func() { s.exec(t, "DROP DATABASE "+s.name) })
	s.exec(t, "USE "+s.name)
	return s
}

func (s *mysqlServer) variables() []string { return s.env }

func (s *mysqlServer) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := s.db.ExecContext(bounded(t), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (s *mysqlServer) rows(t *testing.T, table string) (n int, sum string) {
	t.Helper()
	rows, err := s.db.QueryContext(bounded(t), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, places := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	all := sha256.New()
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(all, "%v\n", values)
		n++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n, hex.EncodeToString(all.Sum(nil)[:8])
}

type postgresServer struct {
	name string
	conn *pgx.Conn
	env  []string
}

func newPostgres(t *testing.T) *postgresServer {
	t.Helper()
	s := &postgresServer{name: newName()}
	host, port := stacktest.Env(t, "POSTGRES_HOST"), stacktest.Env(t, "POSTGRES_PORT")
	user, password := stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_USER"), stacktest.Env(t, "LOCAL_POSTGRES_ADMIN_PASSWORD")
	s.env = []string{"POSTGRES_HOST=" + host, "POSTGRES_PORT=" + port, "POSTGRES_USER=" + user, "POSTGRES_PASSWORD=" + password,
		"POSTGRES_DATABASE=" + s.name}
	connect := func(database string) *pgx.Conn {
		address := url.URL{Scheme: "postgres", Host: net.JoinHostPort(host, port), User: url.UserPassword(user, password), Path: database}
		conn, err := pgx.Connect(bounded(t), address.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(bounded(t)) })
		return conn
	}
	root := &postgresServer{conn: connect("postgres")}
	root.exec(t, "CREATE DATABASE "+s.name)
	t.Cleanup(func() { root.exec(t, "DROP DATABASE "+s.name+" WITH (FORCE)") })
	s.conn = connect(s.name)
	return s
}

func (s *postgresServer) variables() []string { return s.env }

func (s *postgresServer) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := s.conn.Exec(bounded(t), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (s *postgresServer) rows(t *testing.T, table string) (n int, sum string) {
	t.Helper()
	all := sha256.New()
	tag, err := s.conn.PgConn().CopyTo(bounded(t), all, "COPY (SELECT * FROM "+table+" ORDER BY 1) TO STDOUT")
	if err != nil {
		t.Fatal(err)
	}
	return int(tag.RowsAffected()), hex.EncodeToString(all.Sum(nil)[:8])
}

// The default load is counted by the demonstration and by the tests of the whole system, and it is the
// same on every machine: these sums are those of MariaDB 10.11, MySQL 9.7 and PostgreSQL 15.
func TestLoad(t *testing.T) {
	type content struct {
		n   int
		sum string
	}
	tests := map[string]struct {
		server   server
		tables   map[string]content
		first    string   // has as many rows as DEMO_ROWS says
		byHand   string   // changes a load that stands
		cutShort []string // leave what a load cut short does
	}{
		"mysql": {
			newMySQL(t),
			map[string]content{
				"users":             {500, "6b039945603c9d28"},
				"compras":           {2000, "dcee53a9186f7d6c"},
				"compra_productos":  {4546, "7bf3278f82c43369"},
				"compra_cantidades": {4546, "ef40f58ab47b29ec"},
			},
			"users",
			"UPDATE compra_cantidades SET cantidad = 7",
			[]string{"DROP TABLE compra_cantidades", "DELETE FROM compra_productos"},
		},
		"postgresql": {
			newPostgres(t),
			map[string]content{
				"productos":       {300, "66328102aa800e0d"},
				"ofertas":         {100, "9ec05701e102899d"},
				"ofertas_detalle": {180, "8dc6b105ba91d252"},
			},
			"productos",
			"UPDATE ofertas_detalle SET descuento = 7",
			[]string{"DROP TABLE ofertas_detalle, ofertas, productos"}, // it all happens or nothing
		},
	}
	const bigger = "2001"
	for database, test := range tests {
		t.Run(database, func(t *testing.T) {
			load := func(said string, more ...string) {
				t.Helper()
				code, stdout, stderr := execute(bounded(t), append(test.server.variables(), more...), "-only", database)
				if code != program.ExitOK || !strings.HasPrefix(stdout, database+": "+said) {
					t.Fatalf("exit code %d, said %q and %q; want it to say %q", code, stdout, stderr, said)
				}
			}
			asByDefault := func() bool {
				same := true
				for table, want := range test.tables {
					if n, sum := test.server.rows(t, table); n != want.n || sum != want.sum {
						t.Logf("%s holds %d rows with the sum %s, by default %d with %s", table, n, sum, want.n, want.sum)
						same = false
					}
				}
				return same
			}
			byDefault := fmt.Sprint(test.tables[test.first].n)

			load(byDefault)
			if !asByDefault() {
				t.Error("the first load does not make the rows of every other machine")
			}
			test.server.exec(t, test.byHand)
			load("unchanged")
			if asByDefault() {
				t.Error("a load that stands was made anew")
			}
			load(bigger, "DEMO_ROWS="+bigger)
			if n, _ := test.server.rows(t, test.first); fmt.Sprint(n) != bigger {
				t.Errorf("%s holds %d rows, want %s", test.first, n, bigger)
			}
			load(byDefault)
			if !asByDefault() {
				t.Error("a load of another size was not replaced by that of the default size")
			}
			for _, statement := range test.cutShort {
				test.server.exec(t, statement)
			}
			load(byDefault)
			if !asByDefault() {
				t.Error("a load cut short was not made anew")
			}
		})
	}
}

// A table of that name that the program did not make may be a real one.
func TestForeignTablesAreKept(t *testing.T) {
	for database, test := range map[string]struct {
		server server
		table  string
	}{
		"mysql":      {newMySQL(t), "users"},
		"postgresql": {newPostgres(t), "productos"},
	} {
		t.Run(database, func(t *testing.T) {
			test.server.exec(t, "CREATE TABLE "+test.table+" (id int)")
			test.server.exec(t, "INSERT INTO "+test.table+" VALUES (42)")
			code, stdout, stderr := execute(bounded(t), test.server.variables(), "-only", database)
			if code != program.ExitError || !strings.Contains(stderr, test.table) {
				t.Errorf("exit code %d, said %q and %q; want a refusal that names %s", code, stdout, stderr, test.table)
			}
			if n, _ := test.server.rows(t, test.table); n != 1 {
				t.Errorf("%s holds %d rows, want the one it had", test.table, n)
			}
		})
	}
}

func TestLoadMongoDB(t *testing.T) {
	var cfg mongodb.Config
	name := newName()
	stacktest.Load(t, &cfg, "MONGO_DATABASE="+name)
	var environ []string
	for _, variable := range []string{"MONGO_HOST", "MONGO_PORT", "MONGO_USER", "MONGO_PASSWORD"} {
		environ = append(environ, variable+"="+stacktest.Env(t, variable))
	}
	environ = append(environ, "MONGO_DATABASE="+name)
	client, err := mongoSource{cfg: cfg}.connect()
	if err != nil {
		t.Fatal(err)
	}
	medicos, recetas := client.Database(name).Collection("medicos"), client.Database(name).Collection("recetas")
	t.Cleanup(func() {
		ctx := bounded(t)
		if err := client.Database(name).Drop(ctx); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
		if _, err := client.Database(markDatabase).Collection(markCollection).DeleteOne(ctx, bson.D{{Key: "_id", Value: name}}); err != nil {
			t.Errorf("removing the test's mark: %v", err)
		}
		if err := client.Disconnect(ctx); err != nil {
			t.Errorf("disconnecting: %v", err)
		}
	})
	load := func(wantCode int, said string, more ...string) {
		t.Helper()
		code, stdout, stderr := execute(bounded(t), append(environ, more...), "-only", "mongodb")
		if code != wantCode || !strings.Contains(stdout+stderr, said) {
			t.Fatalf("exit code %d, said %q and %q; want %d and %q", code, stdout, stderr, wantCode, said)
		}
	}
	count := func(want map[string]int64) {
		t.Helper()
		for collection, n := range want {
			if got, err := client.Database(name).Collection(collection).CountDocuments(bounded(t), bson.D{}); err != nil || got != n {
				t.Errorf("%s holds %d documents, %v; want %d", collection, got, err, n)
			}
		}
	}

	load(program.ExitOK, "150 medicos, 450 recetas")
	count(map[string]int64{"medicos": 150, "recetas": 450})
	if collections, err := client.Database(name).ListCollectionNames(bounded(t), bson.D{}); err != nil || len(collections) != 2 {
		t.Errorf("the source holds %v (%v), want its own collections alone", collections, err)
	}
	load(program.ExitOK, "unchanged")
	load(program.ExitOK, "166 medicos, 500 recetas", "DEMO_DOCUMENTS=500")
	count(map[string]int64{"medicos": 166, "recetas": 500})

	// As a load cut short leaves it.
	if _, err := client.Database(markDatabase).Collection(markCollection).DeleteOne(bounded(t), bson.D{{Key: "_id", Value: name}}); err != nil {
		t.Fatal(err)
	}
	if err := recetas.Drop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	load(program.ExitOK, "150 medicos, 450 recetas")
	count(map[string]int64{"medicos": 150, "recetas": 450})

	// Somebody's documents are refused, with the other collection, and neither is touched.
	if err := medicos.Drop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := medicos.InsertOne(bounded(t), bson.D{{Key: "nombre", Value: "Dra. Real"}}); err != nil {
		t.Fatal(err)
	}
	load(program.ExitError, "medicos", "DEMO_DOCUMENTS=500")
	count(map[string]int64{"medicos": 1, "recetas": 450})
}

// The numbers must be right where a digit is full.
func TestNumbers(t *testing.T) {
	s := newMySQL(t)
	for _, n := range []int{1, 2, 999, 1000, 1001, 1_000_001} {
		var count, least, most, sum int
		query := "SELECT COUNT(*), MIN(seq), MAX(seq), SUM(seq) FROM " + numbers(n) + " AS numbers"
		if err := s.db.QueryRowContext(bounded(t), query).Scan(&count, &least, &most, &sum); err != nil {
			t.Fatal(err)
		}
		if got := []int{count, least, most, sum}; !slices.Equal(got, []int{n, 1, n, n * (n + 1) / 2}) {
			t.Errorf("1 to %d: count, least, most and sum are %v", n, got)
		}
	}
}
