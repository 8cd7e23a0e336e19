package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/pharmavida/ingesta/deploy/bench/replay"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// recetasDatabase is where the stack's MongoDB holds what is recorded.
const recetasDatabase = "ingesta_bench"

// replayRecetas starts the server that replays the collection to the worker and its references. The
// stack's own server reads a few thousand documents a second, which would hide what is measured: its
// documents are recorded once, as they come over the wire, and kept in a file.
func (b *bench) replayRecetas(ctx context.Context, d dataset) error {
	path := b.stack.local("recetas.bson")
	documents, err := replay.Load(path, d.Table, d.Rows)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if documents == nil || documents.Len() < d.Rows {
		if err := b.recordRecetas(ctx, d, path); err != nil {
			return err
		}
		if documents, err = replay.Load(path, d.Table, d.Rows); err != nil {
			return err
		}
	}
	if documents.Len() != d.Rows {
		return fmt.Errorf("%s holds %d documents, not %d", path, documents.Len(), d.Rows)
	}
	if b.replay, err = replay.Listen(ctx, documents); err != nil {
		return err
	}
	b.closers = append(b.closers, b.replay.Close)
	return nil
}

// recordRecetas has the demo data's program fill the stack's MongoDB, and records the collection from
// there into a file.
func (b *bench) recordRecetas(ctx context.Context, d dataset, path string) error {
	b.say("loading", "%s, %d documents", d.Table, d.Rows)
	load := exec.CommandContext(ctx, filepath.Join(b.stack.root, "bin", "demodata"), "-only", string(ingest.MongoDB))
	load.Env = b.stack.environ("MONGO_DATABASE="+recetasDatabase, "DEMO_DOCUMENTS="+strconv.Itoa(d.Rows))
	if said, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("filling the server: %w\n%s", err, tail(string(said)))
	}
	b.say("recording", "%s, %d documents", d.Table, d.Rows)
	env := b.stack.env
	address := &url.URL{Scheme: "mongodb", User: url.UserPassword(env["MONGO_USER"], env["MONGO_PASSWORD"]), Host: b.stack.address("MONGO"), Path: "/"}
	client, err := mongo.Connect(options.Client().ApplyURI(address.String()))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }() // it has been read from, nothing else
	cursor, err := client.Database(recetasDatabase).Collection(d.Table).Find(ctx, bson.D{}, options.Find().SetBatchSize(1000))
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }() // likewise

	unfinished := path + ".unfinished"
	file, err := os.Create(unfinished)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	for cursor.Next(ctx) {
		if _, err := out.Write(cursor.Current); err != nil {
			return err
		}
	}
	if err := errors.Join(cursor.Err(), out.Flush(), file.Close()); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// sourceOf returns the variables that lead a worker to its source, where that is not the stack's.
func (b *bench) sourceOf(database ingest.Database) []string {
	if database != ingest.MongoDB {
		return nil
	}
	return []string{"MONGO_HOST=127.0.0.1", "MONGO_PORT=" + strconv.Itoa(b.replay.Port()), "MONGO_USER=", "MONGO_PASSWORD="}
}
