package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// State says whether something works.
type State string

// The states of a dependency.
const (
	Up   State = "up"
	Down State = "down"
)

// Health is the state of everything the system needs to do its work.
type Health struct {
	Status       State                             `json:"status"` // up only when everything is
	Dependencies map[string]Dependency             `json:"dependencies"`
	Databases    map[ingest.Database]DatabaseState `json:"databases"`
	DeadLetters  *int                              `json:"dead_letters,omitempty"` // how many there are; absent while RabbitMQ cannot tell
}

// Dependency is one server.
type Dependency struct {
	Status    State   `json:"status"`
	LatencyMS float64 `json:"latency_ms"`
	Error     string  `json:"error,omitempty"` // safe to show
}

// DatabaseState is what the workers of one database report, and how much waits for them.
type DatabaseState struct {
	Status  State         `json:"status"` // up when a live worker reaches both the source and S3
	Error   string        `json:"error,omitempty"`
	Queue   *QueueState   `json:"queue,omitempty"` // absent while RabbitMQ cannot tell
	Workers []WorkerState `json:"workers"`
}

// QueueState is the command queue of one database.
type QueueState struct {
	Messages  int `json:"messages"`
	Consumers int `json:"consumers"`
}

// WorkerState is the latest heartbeat of one worker.
type WorkerState struct {
	Name        string     `json:"name"`
	Version     string     `json:"version"`
	StartedAt   time.Time  `json:"started_at"`
	Slots       int        `json:"slots"`
	Busy        int        `json:"busy"`
	SameCatalog bool       `json:"same_catalog"` // false: it exports by another catalog than this gateway's
	Source      Dependency `json:"source"`
	Storage     Dependency `json:"s3"`
}

// probeTimeout bounds each look at a dependency. They are taken side by side.
const probeTimeout = 2 * time.Second

// Ready returns nil when a request could be accepted now: Redis answers and RabbitMQ takes
// messages. Its error is safe to show.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.pingRedis(ctx); err != nil {
		return err
	}
	return s.brokerReady(ctx)
}

// The messages below are shown to anyone who asks for the health: they name no address.
var (
	errRedisAway    = errors.New("redis does not answer")
	errRabbitMQAway = errors.New("RabbitMQ does not answer")
)

func (s *Service) pingRedis(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, errRedisAway)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		s.log.Debug("Redis does not answer a ping", "error", err)
		return errRedisAway
	}
	return nil
}

func (s *Service) brokerReady(ctx context.Context) error {
	err := s.broker.Ready(ctx)
	if err == nil {
		return nil
	}
	s.log.Debug("RabbitMQ is not ready", "error", err)
	if conflict, ok := errors.AsType[*broker.TopologyError](err); ok { // who asks may be the one who can mend it
		return errors.New("RabbitMQ is not ready: " + conflict.Advice())
	}
	if why, ok := errors.AsType[*broker.NotReadyError](err); ok {
		return errors.New("RabbitMQ is not ready: " + why.Reason)
	}
	return errRabbitMQAway
}

// Health looks at everything the system needs, side by side and within seconds.
func (s *Service) Health(ctx context.Context) Health {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, errors.New("looking at the dependencies timed out"))
	defer cancel()
	var (
		redis, rabbitmq Dependency
		depths          map[string]broker.QueueDepth
		beats           []jobstore.Heartbeat
		beatsErr        error
		looking         sync.WaitGroup
	)
	looking.Go(func() { redis = timed(func() error { return s.pingRedis(ctx) }) })
	looking.Go(func() { beats, beatsErr = s.store.Heartbeats(ctx) })
	looking.Go(func() {
		rabbitmq = timed(func() error {
			if err := s.brokerReady(ctx); err != nil {
				return err
			}
			var err error
			if depths, err = s.broker.Depths(ctx); err != nil {
				s.log.Debug("the queues could not be measured", "error", err)
				return errRabbitMQAway
			}
			return nil
		})
	})
	looking.Wait()

	health := Health{
		Status:       Up,
		Dependencies: map[string]Dependency{"redis": redis, "rabbitmq": rabbitmq},
		Databases:    make(map[ingest.Database]DatabaseState),
	}
	if dead, known := depths[broker.DeadQueue]; known {
		health.DeadLetters = &dead.Messages
	}
	for _, db := range s.catalog.Databases() {
		state := s.databaseState(db.Name, beats, beatsErr)
		if depth, known := depths[broker.CommandQueue(db.Name)]; known {
			state.Queue = &QueueState{Messages: depth.Messages, Consumers: depth.Consumers}
			if depth.Consumers == 0 { // known at once, while a dead worker's heartbeat is believed a little longer
				state.Status, state.Error = Down, "no worker takes commands"
			}
		}
		if state.Status != Up {
			health.Status = Down
		}
		health.Databases[db.Name] = state
	}
	if redis.Status != Up || rabbitmq.Status != Up {
		health.Status = Down
	}
	return health
}

// databaseState sums up what the workers of a database said last. One that reaches both its
// source and S3 is enough to call the database up.
func (s *Service) databaseState(db ingest.Database, beats []jobstore.Heartbeat, err error) DatabaseState {
	state := DatabaseState{Status: Down, Workers: []WorkerState{}}
	if err != nil {
		state.Error = "the workers' heartbeats cannot be read: " + errRedisAway.Error()
		return state
	}
	for _, beat := range beats {
		if beat.Database != db {
			continue
		}
		worker := WorkerState{
			Name: beat.Worker, Version: beat.Version, StartedAt: beat.StartedAt, Slots: beat.Slots, Busy: beat.Busy,
			SameCatalog: beat.CatalogDigest == s.catalog.Digest(),
			Source:      reported(beat.SourceOK, beat.SourceLatency, beat.SourceError),
			Storage:     reported(beat.StorageOK, beat.StorageLatency, beat.StorageError),
		}
		state.Workers = append(state.Workers, worker)
		if worker.Source.Status == Up && worker.Storage.Status == Up {
			state.Status = Up
		}
	}
	switch {
	case len(state.Workers) == 0:
		state.Error = "no worker has reported lately"
	case state.Status != Up:
		state.Error = "no worker reaches both the database and S3"
	}
	return state
}

// timed makes a dependency's state of a probe.
func timed(probe func() error) Dependency {
	start := time.Now()
	err := probe()
	d := Dependency{Status: Up, LatencyMS: milliseconds(time.Since(start))}
	if err != nil {
		d.Status, d.Error = Down, err.Error()
	}
	return d
}

// reported makes a dependency's state of a worker's words.
func reported(ok bool, latency time.Duration, problem string) Dependency {
	d := Dependency{Status: Up, LatencyMS: milliseconds(latency)}
	if !ok {
		d.Status, d.Error = Down, problem
	}
	return d
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
