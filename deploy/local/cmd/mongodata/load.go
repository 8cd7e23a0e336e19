package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// version is part of the mark: raise it when the documents change.
	version = 1

	batchSize     = 1000
	selectTimeout = 10 * time.Second

	// The mark lives in a database of its own, so that the source holds only its own collections.
	markDatabase   = "ingesta_local"
	markCollection = "demo"
	markID         = "loaded"
)

// mark says what was loaded. It is written last, so a load cut short has none.
type mark struct {
	ID      string `bson:"_id"`
	Version int    `bson:"version"`
	Medicos int    `bson:"medicos"`
	Recetas int    `bson:"recetas"`
}

// load brings the database named by the environment to the wanted size and writes what it did to out.
func load(ctx context.Context, out io.Writer, getenv func(string) string, medicos, recetas int) error {
	address := url.URL{
		Scheme:   "mongodb",
		Host:     net.JoinHostPort(getenv("MONGO_HOST"), getenv("MONGO_PORT")),
		User:     url.UserPassword(getenv("MONGO_USER"), getenv("MONGO_PASSWORD")),
		Path:     "/",
		RawQuery: "authSource=admin",
	}
	client, err := mongo.Connect(options.Client().ApplyURI(address.String()).SetServerSelectionTimeout(selectTimeout))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", address.Host, err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()

	marks := client.Database(markDatabase).Collection(markCollection)
	want := mark{ID: markID, Version: version, Medicos: medicos, Recetas: recetas}
	var have mark
	err = marks.FindOne(ctx, bson.D{{Key: "_id", Value: markID}}).Decode(&have)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return fmt.Errorf("reading the mark at %s: %w", address.Host, err)
	}
	if have == want {
		fmt.Fprintln(out, "unchanged")
		return nil
	}

	if _, err := marks.DeleteMany(ctx, bson.D{}); err != nil {
		return fmt.Errorf("removing the old mark: %w", err)
	}
	source := client.Database(getenv("MONGO_DATABASE"))
	if err := fill(ctx, source.Collection("medicos"), medicos, medico); err != nil {
		return err
	}
	if err := fill(ctx, source.Collection("recetas"), recetas, func(i int) bson.D { return receta(i, medicos) }); err != nil {
		return err
	}
	if _, err := marks.InsertOne(ctx, want); err != nil {
		return fmt.Errorf("writing the mark: %w", err)
	}
	fmt.Fprintf(out, "medicos %d, recetas %d\n", medicos, recetas)
	return nil
}

// fill replaces the collection by n made documents, in batches.
func fill(ctx context.Context, into *mongo.Collection, n int, document func(i int) bson.D) error {
	if err := into.Drop(ctx); err != nil {
		return fmt.Errorf("dropping %s: %w", into.Name(), err)
	}
	batch := make([]bson.D, 0, batchSize)
	for i := 1; i <= n; i++ {
		batch = append(batch, document(i))
		if len(batch) < batchSize && i < n {
			continue
		}
		if _, err := into.InsertMany(ctx, batch); err != nil {
			return fmt.Errorf("inserting into %s: %w", into.Name(), err)
		}
		batch = batch[:0]
	}
	return nil
}
