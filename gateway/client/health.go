package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Up is the status of what works.
const Up = "up"

// Health is the state of everything the system needs.
type Health struct {
	Status       string                            `json:"status"` // Up only when everything is
	Dependencies map[string]Dependency             `json:"dependencies"`
	Databases    map[ingest.Database]DatabaseState `json:"databases"`
	DeadLetters  *int                              `json:"dead_letters,omitempty"` // absent while nobody knows
}

// Dependency is one server.
type Dependency struct {
	Status    string  `json:"status"`
	LatencyMS float64 `json:"latency_ms"`
	Error     string  `json:"error,omitempty"`
}

// DatabaseState is what the workers of one database report, and how much waits for them.
type DatabaseState struct {
	Status  string        `json:"status"`
	Error   string        `json:"error,omitempty"`
	Queue   *QueueState   `json:"queue,omitempty"`
	Workers []WorkerState `json:"workers"`
}

// QueueState is the command queue of one database.
type QueueState struct {
	Messages  int `json:"messages"`
	Consumers int `json:"consumers"`
}

// WorkerState is what one worker said last.
type WorkerState struct {
	Name        string     `json:"name"`
	Version     string     `json:"version"`
	StartedAt   time.Time  `json:"started_at"`
	Slots       int        `json:"slots"`
	Busy        int        `json:"busy"`
	SameCatalog bool       `json:"same_catalog"`
	Source      Dependency `json:"source"`
	Storage     Dependency `json:"s3"`
}

// Health returns the state of the system. That a part of it is down is no error.
func (c *Client) Health(ctx context.Context) (health Health, err error) {
	a, err := c.exchange(ctx, get("api", "ingesta", "health"))
	if err != nil {
		return health, err
	}
	if a.status == http.StatusOK || a.status == http.StatusServiceUnavailable {
		if json.Unmarshal(a.body, &health) == nil && health.Dependencies != nil {
			return health, nil
		}
	}
	return health, problemOf(a)
}
