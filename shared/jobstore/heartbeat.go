package jobstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Heartbeat is what a worker says of itself, for the gateway's health: the gateway has no driver
// to look for itself.
type Heartbeat struct {
	Worker        string          `json:"worker"` // unique among running workers
	Database      ingest.Database `json:"database"`
	Version       string          `json:"version"`
	CatalogDigest string          `json:"catalog_digest"`
	StartedAt     time.Time       `json:"started_at"`
	Slots         int             `json:"slots"` // jobs it runs at once
	Busy          int             `json:"busy"`  // jobs it is running

	SourceOK       bool          `json:"source_ok"`
	SourceError    string        `json:"source_error,omitempty"`
	SourceLatency  time.Duration `json:"source_latency_ns"`
	StorageOK      bool          `json:"storage_ok"`
	StorageError   string        `json:"storage_error,omitempty"`
	StorageLatency time.Duration `json:"storage_latency_ns"`

	SeenAt time.Time `json:"-"` // by Redis' clock; set by Heartbeats
}

// Heartbeat records that a worker is alive; it is believed for ttl.
func (s *Store) Heartbeat(ctx context.Context, h Heartbeat, ttl time.Duration) error {
	const doing = "recording a heartbeat"
	if !names.MatchString(h.Worker) {
		return fmt.Errorf("%s: %.140q is not the name of a worker", doing, h.Worker)
	}
	encoded, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	_, err = s.run(ctx, doing, s.scripts.heartbeat, h.Worker, encoded, milliseconds(ttl))
	return err
}

// Heartbeats returns the latest heartbeat of every worker that is still believed alive, by name.
func (s *Store) Heartbeats(ctx context.Context) ([]Heartbeat, error) {
	const doing = "reading heartbeats"
	r, err := s.run(ctx, doing, s.scripts.heartbeats)
	if err != nil {
		return nil, err
	}
	beats := make([]Heartbeat, len(r))
	for i := range r {
		at, encoded, _ := strings.Cut(r.text(i), " ")
		if err := json.Unmarshal([]byte(encoded), &beats[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		if beats[i].SeenAt, err = parseMillis(at); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
	}
	return beats, nil
}
