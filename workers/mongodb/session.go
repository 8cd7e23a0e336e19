package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
)

// session is one attempt's client, with a snapshot session where the server has such.
type session struct {
	client   *mongo.Client
	db       *mongo.Database
	snapshot ingest.Snapshot
	sess     *mongo.Session // nil without a snapshot

	// patience is how long the server may take for one batch.
	patience time.Duration

	// lost is why the server went away. The driver would connect again by itself; an attempt
	// that lost its server ends instead of paying for it once per dataset.
	lost error
}

// snapshotWireVersion is that of MongoDB 5.0, the first with snapshot sessions.
const snapshotWireVersion = 13

// greeting is what the session needs of the server's hello.
type greeting struct {
	SetName        string         `bson:"setName"`
	Message        string         `bson:"msg"` // "isdbgrid" from a router of a sharded cluster
	MaxWireVersion int            `bson:"maxWireVersion"`
	OperationTime  bson.Timestamp `bson:"operationTime"`
}

// hasSnapshots reports whether the server can read as of a time.
func (g greeting) hasSnapshots() bool {
	return g.MaxWireVersion >= snapshotWireVersion && (g.SetName != "" || g.Message == "isdbgrid") && g.OperationTime.T > 0
}

// begin logs in and fixes the time that the datasets show.
func (s *session) begin(ctx context.Context, snapshot bool) error {
	var hello greeting
	if err := s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return fmt.Errorf("saying hello: %w", err)
	}
	if !snapshot || !hello.hasSnapshots() {
		return nil
	}
	sess, err := s.client.StartSession(options.Session().SetSnapshot(true).SetSnapshotTime(hello.OperationTime))
	if err != nil {
		return fmt.Errorf("starting a snapshot session: %w", err)
	}
	s.sess = sess
	s.snapshot.ID = fmt.Sprintf("%d.%d", hello.OperationTime.T, hello.OperationTime.I)
	s.snapshot.At, s.snapshot.Consistent = time.Now(), true
	return nil
}

// Prepare checks that the collection exists.
func (s *session) Prepare(ctx context.Context, d catalog.Dataset) (engine.Extraction, error) {
	if s.lost != nil {
		return engine.Extraction{}, s.lost
	}
	e, err := s.prepare(ctx, d)
	if err != nil {
		return engine.Extraction{}, s.failure(ctx, fmt.Errorf("preparing dataset %s: %w", d.Name, err))
	}
	return e, nil
}

func (s *session) prepare(ctx context.Context, d catalog.Dataset) (engine.Extraction, error) {
	if d.Collection == "" {
		return engine.Extraction{}, ingest.Permanent(ingest.QueryFailed, nil, "dataset %s names no collection; MongoDB exports nothing else", d.Name)
	}
	query, err := newQuery(d)
	if err != nil {
		return engine.Extraction{}, err
	}
	// Names alone, and only those that the user may read: the question needs no privilege beyond
	// that of reading, and takes no lock.
	found, err := s.db.ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: d.Collection}},
		options.ListCollections().SetNameOnly(true).SetAuthorizedCollections(true))
	if err != nil {
		return engine.Extraction{}, fmt.Errorf("listing collections: %w", err)
	}
	if len(found) == 0 {
		return engine.Extraction{}, ingest.Permanent(ingest.TableNotFound, nil, "collection %s does not exist, or may not be read", d.Collection)
	}
	collection := s.db.Collection(d.Collection)
	e := engine.Extraction{Snapshot: s.snapshot}
	if !e.Snapshot.Consistent {
		e.Snapshot.At = time.Now()
	}
	// What a filter leaves, and what a view shows, would have to be read to be counted.
	if query.isWhole() && found[0].Type != "view" {
		if e.EstimatedRows, err = collection.EstimatedDocumentCount(ctx); err != nil {
			return engine.Extraction{}, fmt.Errorf("estimating the size: %w", err)
		}
	}
	// No document need have any field, so whatever is declared exists.
	declared := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		declared[i] = c.Name
	}
	selected, withheld, err := d.Select(declared)
	if err != nil {
		return engine.Extraction{}, err
	}
	e.Withheld = withheld
	columns := make([]catalog.Column, len(selected))
	for i, s := range selected {
		columns[i] = s.Column
		// A field has no declared type: each document may hold another one.
		e.Columns = append(e.Columns, s.Describe(ingest.TypeText, "bson"))
	}
	if d.Extra {
		e.Columns = append(e.Columns, ingest.Column{Name: catalog.ExtraColumn, Type: ingest.TypeJSON, SourceType: kindDocument.alias()})
	}
	e.Run = func(ctx context.Context, sink engine.Sink) (engine.Tally, error) {
		if s.lost != nil {
			return engine.Tally{}, s.lost
		}
		r := newRecorder(sink, d, columns, e.Withheld)
		if err := s.extract(ctx, collection, query, r, sink); err != nil {
			return engine.Tally{}, err
		}
		return engine.Tally{Rows: r.rows(), Warnings: r.warnings(), Columns: r.found(e.Columns)}, nil
	}
	return e, nil
}

// Close ends the session on the server and disconnects.
func (s *session) Close(ctx context.Context) error {
	if s.sess != nil {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		s.sess.EndSession(limited)
	}
	disconnect(ctx, s.client)
	return nil
}

// failure is the package's failure, and remembers that the server is gone.
func (s *session) failure(ctx context.Context, err error) error {
	err = failure(ctx, err)
	if ctx.Err() == nil && ingest.AsError(err).Code == ingest.SourceUnavailable {
		s.lost = err
	}
	return err
}
