package mongodb

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/pharmavida/ingesta/workers/engine"
)

// closeTimeout is how long taking leave of the server may take.
const closeTimeout = 3 * time.Second

// Source is a MongoDB database. It keeps no connection of its own.
type Source struct{ cfg Config }

var _ engine.Source = (*Source)(nil)

// New returns a source that connects when it is asked to. Its only error is a configuration that
// makes no sense.
func New(cfg Config, _ *slog.Logger) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Source{cfg: cfg}, nil
}

// Ping connects, logs in and asks for an answer.
func (s *Source) Ping(ctx context.Context) error {
	client, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer disconnect(ctx, client)
	if err := client.Database(s.cfg.Database).RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		return failure(ctx, fmt.Errorf("pinging: %w", err))
	}
	return nil
}

// Version connects, logs in and returns the server's version: 7.0.14. Errors are those of Ping.
func (s *Source) Version(ctx context.Context) (string, error) {
	client, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer disconnect(ctx, client)
	var build struct{ Version string }
	if err := client.Database(s.cfg.Database).RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return "", failure(ctx, fmt.Errorf("asking for the version: %w", err))
	}
	return build.Version, nil
}

// Open connects, logs in and takes the snapshot, where the server has such.
func (s *Source) Open(ctx context.Context) (engine.Session, error) {
	client, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	session := &session{client: client, db: client.Database(s.cfg.Database), patience: batchTimeout}
	if err := session.begin(ctx, s.cfg.Snapshot); err != nil {
		disconnect(ctx, client)
		return nil, failure(ctx, fmt.Errorf("beginning the session: %w", err))
	}
	return session, nil
}

// connect makes a client. It reaches the server with its first command.
func (s *Source) connect(ctx context.Context) (*mongo.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Made anew for each client: the driver writes to the options it is given.
	opts, err := s.cfg.Driver()
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, failure(ctx, fmt.Errorf("connecting: %w", err))
	}
	return client, nil
}

// disconnect closes all connections of the client and waits for its goroutines. It has its own
// timeout: the connections must go away also when ctx is over.
func disconnect(ctx context.Context, client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = client.Disconnect(ctx) // the client is of no more use, whatever the server says
}
