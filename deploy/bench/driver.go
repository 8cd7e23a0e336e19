package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// driverReference is the subcommand of this program that reads a collection as most programs in Go do:
// every document is decoded into a bson.D, and encoding/csv writes its fields to /dev/null.
//
//	bench mongodb-driver ADDRESS DATABASE COLLECTION COLUMN…
//
// It prints the number of documents.
const driverReference = "mongodb-driver"

func runDriverReference(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 4 {
		return errors.New(driverReference + " wants an address, a database, a collection and columns")
	}
	client, err := mongo.Connect(options.Client().ApplyURI(args[0]))
	if err != nil {
		return fmt.Errorf("connecting to MongoDB: %w", err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }() // it has been read from, nothing else
	file, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("opening the file: %w", err)
	}
	defer file.Close()
	documents, err := driverExport(ctx, client.Database(args[1]).Collection(args[2]), args[3:], file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", args[2], err)
	}
	_, err = fmt.Fprintln(out, documents)
	return err
}

// driverExport writes the columns of all documents as CSV and returns how many there were.
func driverExport(ctx context.Context, collection *mongo.Collection, columns []string, to io.Writer) (documents int, err error) {
	cursor, err := collection.Find(ctx, bson.D{})
	if err != nil {
		return 0, err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }() // it has been read from, nothing else
	place := make(map[string]int, len(columns))
	for i, column := range columns {
		place[column] = i
	}
	w := csv.NewWriter(to)
	if err := w.Write(columns); err != nil {
		return 0, err
	}
	row := make([]string, len(columns))
	for cursor.Next(ctx) {
		var document bson.D
		if err := cursor.Decode(&document); err != nil {
			return documents, err
		}
		clear(row)
		for _, field := range document {
			i, wanted := place[field.Key]
			if !wanted {
				continue
			}
			if row[i], err = driverText(field.Value); err != nil {
				return documents, err
			}
		}
		if err := w.Write(row); err != nil {
			return documents, err
		}
		documents++
	}
	w.Flush()
	return documents, errors.Join(cursor.Err(), w.Error())
}

// driverText writes a value as the dialect of the product does.
func driverText(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bson.ObjectID:
		return v.Hex(), nil
	case bson.DateTime:
		return v.Time().UTC().Format("2006-01-02 15:04:05.999999") + "+00", nil
	case bool:
		return strconv.FormatBool(v), nil
	case int32:
		return strconv.FormatInt(int64(v), 10), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	default:
		text, err := json.Marshal(v)
		return string(text), err
	}
}
