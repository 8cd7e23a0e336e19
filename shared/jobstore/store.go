package jobstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Store is the set of all jobs. It is safe for concurrent use.
type Store struct {
	client  redis.UniversalClient
	cfg     Config
	prefix  string // of every key; its hash tag keeps them in one slot
	scripts scripts
}

// New returns a store that owns client from now on. cfg must be valid; its addresses are ignored.
// A client of the caller's making should have ContextTimeoutEnabled, or calls outlast their
// deadlines.
func New(client redis.UniversalClient, cfg Config) *Store {
	return &Store{client: client, cfg: cfg, prefix: "{" + cfg.Prefix + "}:", scripts: loadScripts()}
}

// Open returns a store at the address of cfg. It does not use the network yet.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("opening the job store: %w", err)
	}
	return New(redis.NewClient(cfg.options()), cfg), nil
}

// Close closes the connections. Calls under way fail.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("closing the job store: %w", err)
	}
	return nil
}

// Ping asks the server for a sign of life: ErrUnavailable when there is none.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return wrap(ctx, "pinging redis", err)
	}
	return nil
}

// bounded limits one call, the repetitions of the client included.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.cfg.Timeout, fmt.Errorf("no answer within %v", s.cfg.Timeout))
}

// names matches job ids and databases that may become part of keys and of space-separated values.
var names = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

func checkNames(id string, database ingest.Database) error {
	if !names.MatchString(id) {
		return ingest.Permanent(ingest.MalformedCommand, nil, "%.140q is not a job id", id)
	}
	if !names.MatchString(string(database)) {
		return ingest.Permanent(ingest.MalformedCommand, nil, "%.140q is not the name of a database", database)
	}
	return nil
}

// checkTargets makes sure that datasets can be told apart and have keys.
func checkTargets(targets []ingest.Target) error {
	if len(targets) == 0 {
		return errors.New("the job has no dataset")
	}
	seen := make(map[string]bool, len(targets))
	for _, t := range targets {
		if t.Dataset == "" || t.Key == "" || seen[t.Dataset] {
			return fmt.Errorf("dataset %q lacks a name or a key, or comes twice", t.Dataset)
		}
		seen[t.Dataset] = true
	}
	return nil
}

// milliseconds is the form in which scripts take durations.
func milliseconds(d time.Duration) int64 { return max(0, d.Milliseconds()) }

// flag is the form in which scripts take what is so or not.
func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}
