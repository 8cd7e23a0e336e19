// Command poison is a worker of PostgreSQL with a defect: it panics in the middle of one dataset,
// whenever it exports it.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers"
	"github.com/pharmavida/ingesta/workers/engine"
	"github.com/pharmavida/ingesta/workers/postgresql"
)

func main() { os.Exit(workers.Main(ingest.PostgreSQL, open)) }

type config struct {
	Source  postgresql.Config
	Dataset string `env:"POISON_DATASET,required"`
}

func open(cfg config, log *slog.Logger) (source, error) {
	sound, err := postgresql.New(cfg.Source, log)
	return source{sound, cfg.Dataset}, err
}

type source struct {
	engine.Source
	poisonous string
}

func (s source) Open(ctx context.Context) (engine.Session, error) {
	sound, err := s.Source.Open(ctx)
	if err != nil {
		return nil, err
	}
	return session{sound, s.poisonous}, nil
}

type session struct {
	engine.Session
	poisonous string
}

func (s session) Prepare(ctx context.Context, d catalog.Dataset) (engine.Extraction, error) {
	x, err := s.Session.Prepare(ctx, d)
	if run := x.Run; err == nil && d.Name == s.poisonous {
		x.Run = func(ctx context.Context, to engine.Sink) (engine.Tally, error) { return run(ctx, sink{to}) }
	}
	return x, err
}

type sink struct{ engine.Sink }

func (s sink) Write(p []byte) (int, error) {
	if _, err := s.Sink.Write(p); err != nil {
		return 0, err
	}
	panic("poison")
}
