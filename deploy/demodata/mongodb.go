package main

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/mongodb"
)

const (
	// documentsVersion is part of the mark: raise it when the documents change.
	documentsVersion = 1

	batchSize = 1000

	// The mark lies in a database of its own, so that the source holds only its own collections.
	markDatabase   = "ingesta_local"
	markCollection = "demo"
)

// documentsMark says what was loaded into a database. It is written last, so a load cut short has none.
type documentsMark struct {
	Database string `bson:"_id"`
	Version  int    `bson:"version"`
	Medicos  int    `bson:"medicos"`
	Recetas  int    `bson:"recetas"`
}

// mongoSource is PharmaVida's MongoDB.
type mongoSource struct {
	pinger
	cfg mongodb.Config
}

func (mongoSource) Database() ingest.Database { return ingest.MongoDB }

// Load makes the collections anew unless they stand.
func (s mongoSource) Load(ctx context.Context, size Size) (made string, err error) {
	client, err := s.connect()
	if err != nil {
		return "", err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = client.Disconnect(ctx)
	}()

	marks := client.Database(markDatabase).Collection(markCollection)
	this := bson.D{{Key: "_id", Value: s.cfg.Database}}
	want := documentsMark{Database: s.cfg.Database, Version: documentsVersion, Medicos: size.Medicos, Recetas: size.Recetas}
	var have documentsMark
	err = marks.FindOne(ctx, this).Decode(&have)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return "", fmt.Errorf("reading the mark: %w", err)
	}
	if have == want {
		return "", nil
	}

	medicos, recetas := client.Database(s.cfg.Database).Collection("medicos"), client.Database(s.cfg.Database).Collection("recetas")
	err = errors.Join(
		refuseForeign(ctx, medicos, medico(1)),
		refuseForeign(ctx, recetas, receta(1, size.Medicos)),
	)
	if err != nil {
		return "", err
	}
	if _, err := marks.DeleteOne(ctx, this); err != nil {
		return "", fmt.Errorf("removing the old mark: %w", err)
	}
	if err := fill(ctx, medicos, size.Medicos, medico); err != nil {
		return "", err
	}
	if err := fill(ctx, recetas, size.Recetas, func(i int) bson.D { return receta(i, size.Medicos) }); err != nil {
		return "", err
	}
	if _, err := marks.InsertOne(ctx, want); err != nil {
		return "", fmt.Errorf("writing the mark: %w", err)
	}
	return fmt.Sprintf("%d medicos, %d recetas", size.Medicos, size.Recetas), nil
}

func (s mongoSource) connect() (*mongo.Client, error) {
	opts, err := s.cfg.Driver()
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, errors.New("reading the MONGO_* settings: they do not make a valid address and login") // err may quote the password
	}
	return client, nil
}

// refuseForeign returns an error when there are documents in the collection, and not the first one that this
// program puts there, even by a load cut short: their ids are its own.
func refuseForeign(ctx context.Context, collection *mongo.Collection, first bson.D) error {
	err := collection.FindOne(ctx, bson.D{first[0]}).Err()
	if err == nil {
		return nil
	}
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = collection.FindOne(ctx, bson.D{}).Err()
	}
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return nil
	case err != nil:
		return fmt.Errorf("looking into %s: %w", collection.Name(), err)
	default:
		return notOurs(collection.Database().Name(), []string{collection.Name()})
	}
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
