package mongodb

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/stacktest"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

const wrongPassword = "not-the-password-4711"

func TestConformance(t *testing.T) {
	server := newServer(t)
	extracttest.Run(t, extracttest.Fixture{
		Source:      server.source,
		Server:      server,
		Secret:      wrongPassword,
		Rows:        5_000, // the stand-in of the local stack is slow
		Collections: true,
	})
}

// server is a database of the test's own on the local stack's MongoDB server.
type server struct {
	cfg   Config
	admin *mongo.Database
	proxy *proxy
}

var _ extracttest.Server = (*server)(nil)

func newServer(t *testing.T) *server {
	t.Helper()
	port, err := strconv.Atoi(stacktest.Env(t, "MONGO_PORT"))
	if err != nil {
		t.Fatalf("MONGO_PORT: %v", err)
	}
	cfg := Config{
		Host: stacktest.Env(t, "MONGO_HOST"), Port: port, User: stacktest.Env(t, "MONGO_USER"),
		Password: config.Secret(stacktest.Env(t, "MONGO_PASSWORD")), AuthSource: "admin",
		Database: fmt.Sprintf("extract_test_%d", rand.Uint32()), Snapshot: true, ConnectTimeout: 2 * time.Second,
	}
	opts, err := cfg.Driver()
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(opts, options.Client().SetServerSelectionTimeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	admin := client.Database(cfg.Database)
	t.Cleanup(func() {
		ctx := context.Background() // the test's has ended
		if err := admin.Drop(ctx); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
		if err := client.Disconnect(ctx); err != nil {
			t.Errorf("disconnecting: %v", err)
		}
	})
	return &server{cfg: cfg, admin: admin, proxy: newProxy(t, net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))}
}

func (s *server) source(t *testing.T, access extracttest.Access) engine.Source {
	t.Helper()
	cfg := s.cfg
	cfg.Host, cfg.Port = "127.0.0.1", s.proxy.port()
	switch access {
	case extracttest.WrongPassword:
		cfg.Password = wrongPassword
	case extracttest.ClosedPort:
		cfg.Port = stacktest.FreePort(t)
	}
	source, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func (s *server) Create(t *testing.T, table extracttest.Table) {
	t.Helper()
	if err := s.admin.CreateCollection(t.Context(), table.Name); err != nil {
		t.Fatalf("creating collection %s: %v", table.Name, err)
	}
	t.Cleanup(func() {
		if err := s.admin.Collection(table.Name).Drop(context.Background()); err != nil {
			t.Errorf("dropping collection %s: %v", table.Name, err)
		}
	})
	s.Insert(t, table)
}

// Insert writes NULL as null and as a missing field by turns.
func (s *server) Insert(t *testing.T, table extracttest.Table) {
	t.Helper()
	var docs []any
	missing := false
	for _, row := range table.Rows {
		doc := bson.D{{Key: "_id", Value: row[0]}}
		for i, v := range row {
			if v == nil {
				if missing = !missing; missing {
					continue
				}
			}
			if at, ok := v.(time.Time); ok {
				v = bson.NewDateTimeFromTime(at)
			}
			doc = append(doc, bson.E{Key: table.Columns[i].Name, Value: v})
		}
		docs = append(docs, doc)
	}
	if len(docs) == 0 {
		return
	}
	if _, err := s.admin.Collection(table.Name).InsertMany(t.Context(), docs); err != nil {
		t.Fatalf("inserting into %s: %v", table.Name, err)
	}
}

func (s *server) Sessions(*testing.T) (open, running int) { return s.proxy.sessions() }

func (s *server) Kill(*testing.T) { s.proxy.kill() }
