package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"github.com/pharmavida/ingesta/deploy/bench/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// document is the i-th of a collection; some are larger than others.
func document(t *testing.T, i int) bson.Raw {
	t.Helper()
	doc, err := bson.Marshal(bson.D{{Key: "_id", Value: i}, {Key: "nombre", Value: strings.Repeat("ñ", i%7*100)}})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func collection(t *testing.T, n int) *replay.Collection {
	t.Helper()
	c := &replay.Collection{Name: "recetas"}
	for i := range n {
		if err := c.Append(document(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// serve starts a server of the collection and returns a client of it. Both end with the test.
func serve(t *testing.T, c *replay.Collection) *mongo.Client {
	t.Helper()
	server, err := replay.Listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(fmt.Sprintf("mongodb://127.0.0.1:%d/", server.Port())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Disconnect(context.Background()); err != nil {
			t.Errorf("disconnecting: %v", err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
	})
	return client
}

func TestEveryDocumentComesOnceAndInOrder(t *testing.T) {
	const n = 2345
	recetas := serve(t, collection(t, n)).Database("any").Collection("recetas")
	for _, batch := range []int32{0, 1, 7, 1000, n, n + 1} {
		// Several cursors at once have places of their own.
		first, err := recetas.Find(t.Context(), bson.D{}, options.Find().SetBatchSize(batch))
		if err != nil {
			t.Fatal(err)
		}
		second, err := recetas.Find(t.Context(), bson.D{}, options.Find().SetBatchSize(batch).SetSort(bson.D{{Key: "_id", Value: 1}}))
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for _, cursor := range []*mongo.Cursor{first, second} {
				if !cursor.Next(t.Context()) {
					t.Fatalf("batches of %d end after %d documents: %v; want %d", batch, i, cursor.Err(), n)
				}
				if want := document(t, i); !bytes.Equal(cursor.Current, want) {
					t.Fatalf("batches of %d: document %d is %v; want %v", batch, i, cursor.Current, want)
				}
			}
		}
		if first.Next(t.Context()) || first.Err() != nil || first.ID() != 0 {
			t.Errorf("batches of %d: after the last document %v, %v, cursor %d; want the end", batch, first.Current, first.Err(), first.ID())
		}
	}
}

func TestBatchesHaveTheSizeThatIsAskedFor(t *testing.T) {
	recetas := serve(t, collection(t, 1000)).Database("any").Collection("recetas")
	cursor, err := recetas.Find(t.Context(), bson.D{}, options.Find().SetBatchSize(250))
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close(t.Context())
	if got := cursor.RemainingBatchLength(); got != 250 {
		t.Errorf("the first batch has %d documents; want 250", got)
	}
	for range 250 {
		cursor.Next(t.Context())
	}
	cursor.SetBatchSize(600)
	cursor.Next(t.Context())
	if got := cursor.RemainingBatchLength(); got != 599 {
		t.Errorf("after one of the second batch %d documents are left in it; want 599", got)
	}
	unsaid, err := recetas.Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	defer unsaid.Close(t.Context())
	if got := unsaid.RemainingBatchLength(); got != 101 {
		t.Errorf("a first batch of no said size has %d documents; want 101, as in a real server", got)
	}
}

func TestABatchStaysBelowTheLimitOfARealServer(t *testing.T) {
	const size, limit = 1 << 20, 16 << 20
	c := &replay.Collection{Name: "recetas"}
	doc, err := bson.Marshal(bson.D{{Key: "texto", Value: strings.Repeat("x", size)}})
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := c.Append(doc); err != nil {
			t.Fatal(err)
		}
	}
	cursor, err := serve(t, c).Database("any").Collection("recetas").Find(t.Context(), bson.D{}, options.Find().SetBatchSize(1000))
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close(t.Context())
	if got := cursor.RemainingBatchLength(); got != limit/size-1 {
		t.Errorf("a batch has %d documents of %d bytes; want %d, for less than %d bytes", got, len(doc), limit/size-1, limit)
	}
}

func TestWhatAWorkerAsksBeforeItReads(t *testing.T) {
	db := serve(t, collection(t, 12)).Database("any")
	count, err := db.Collection("recetas").EstimatedDocumentCount(t.Context())
	if err != nil || count != 12 {
		t.Errorf("counted %d, %v; want 12", count, err)
	}
	for name, want := range map[string]int{"recetas": 1, "medicos": 0} {
		found, err := db.ListCollectionSpecifications(t.Context(), bson.D{{Key: "name", Value: name}})
		if err != nil || len(found) != want {
			t.Errorf("%d collections named %s, %v; want %d", len(found), name, err, want)
		}
	}
	for _, command := range []string{"ping", "hello", "buildInfo"} {
		if err := db.RunCommand(t.Context(), bson.D{{Key: command, Value: 1}}).Err(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	cursor, err := db.Collection("medicos").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	if cursor.Next(t.Context()) || cursor.Err() != nil {
		t.Errorf("a collection that is not there has %v, %v; want nothing", cursor.Current, cursor.Err())
	}
}

func TestWhatWouldNotBeServedIsRefused(t *testing.T) {
	db := serve(t, collection(t, 12)).Database("any")
	recetas := db.Collection("recetas")
	for name, find := range map[string]func() error{
		"a filter": func() error { _, err := recetas.Find(t.Context(), bson.D{{Key: "_id", Value: 1}}); return err },
		"a limit":  func() error { _, err := recetas.Find(t.Context(), bson.D{}, options.Find().SetLimit(5)); return err },
		"a skip":   func() error { _, err := recetas.Find(t.Context(), bson.D{}, options.Find().SetSkip(5)); return err },
		"a write":  func() error { _, err := recetas.DeleteMany(t.Context(), bson.D{}); return err },
		"another command": func() error {
			return db.RunCommand(t.Context(), bson.D{{Key: "serverStatus", Value: 1}}).Err()
		},
	} {
		var refusal mongo.CommandError
		if err := find(); !errors.As(err, &refusal) {
			t.Errorf("%s: %v; want the server's refusal", name, err)
		}
	}
}

func TestAClosedCursorIsGone(t *testing.T) {
	db := serve(t, collection(t, 500)).Database("any")
	cursor, err := db.Collection("recetas").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	id := cursor.ID()
	if err := cursor.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = db.RunCommand(t.Context(), bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: "recetas"}}).Err()
	var refusal mongo.CommandError
	if !errors.As(err, &refusal) || refusal.Name != "CursorNotFound" {
		t.Errorf("reading on from a closed cursor: %v; want CursorNotFound", err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recetas.bson")
	var file []byte
	for i := range 20 {
		file = append(file, document(t, i)...)
	}
	write := func(data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	for most, want := range map[int]int{5: 5, 20: 20, 100: 20} {
		if c, err := replay.Load(path, "recetas", most); err != nil || c.Len() != want {
			t.Errorf("of 20 documents, at most %d: %v, %v; want %d", most, c, err, want)
		}
	}
	for name, broken := range map[string][]byte{
		"cut short in a document": file[:len(file)-1],
		"cut short in a length":   file[:len(file)-len(document(t, 19))+2],
		"a length of 0":           make([]byte, 10),
		"no document":             bytes.Repeat([]byte{0xff}, 10),
	} {
		write(broken)
		if c, err := replay.Load(path, "recetas", 100); err == nil {
			t.Errorf("%s: %d documents; want an error", name, c.Len())
		}
	}
}
