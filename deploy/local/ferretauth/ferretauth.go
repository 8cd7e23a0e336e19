// Package ferretauth runs FerretDB's SQLite back end with SCRAM authentication, so that a client
// connects to it exactly as to a MongoDB server with access control: user, password, wrong password refused.
//
// FerretDB 1.24 has that behind its option TestEnableNewAuth, which its server binary offers and its
// embeddable API (ferretdb.Config) does not: there every SCRAM log-in is refused, so a driver given a
// user name could not connect at all. Only code under FerretDB's own import path may set the option,
// which is why this module is named as it is. It is local, never published, and bound to v1.24.0.
//
// Not a goal: roles. FerretDB checks who one is, not what one may do.
package ferretauth

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/FerretDB/FerretDB/internal/clientconn"
	"github.com/FerretDB/FerretDB/internal/clientconn/connmetrics"
	"github.com/FerretDB/FerretDB/internal/handler/registry"
	"github.com/FerretDB/FerretDB/internal/util/password"
	"github.com/FerretDB/FerretDB/internal/util/state"
)

const setupTimeout = 20 * time.Second

// Config says where to listen, where to keep the data, and whom to let in.
type Config struct {
	Address string // host:port
	DataDir string // an existing folder, one SQLite file for each database

	// The one user, created in the database admin on the first start with an empty DataDir.
	User     string
	Password string

	Logger *slog.Logger
}

// Run serves until ctx ends, then closes every connection and the data files.
func Run(ctx context.Context, cfg Config) error {
	provider, err := state.NewProvider("")
	if err != nil {
		return fmt.Errorf("making the state provider: %w", err)
	}
	err = provider.Update(func(s *state.State) {
		s.DisableTelemetry()
		s.TelemetryLocked = true
	})
	if err != nil {
		return fmt.Errorf("switching telemetry off: %w", err)
	}

	metrics := connmetrics.NewListenerMetrics()
	handler, closeBackend, err := registry.NewHandler("sqlite", &registry.NewHandlerOpts{
		Logger:        cfg.Logger,
		ConnMetrics:   metrics.ConnMetrics,
		StateProvider: provider,
		TCPHost:       cfg.Address,
		SetupDatabase: "admin",
		SetupUsername: cfg.User,
		SetupPassword: password.WrapPassword(cfg.Password),
		SetupTimeout:  setupTimeout,
		SQLiteURL:     "file:" + cfg.DataDir + "/",
		TestOpts: registry.TestOpts{
			CappedCleanupPercentage: 10,
			EnableNewAuth:           true,
			BatchSize:               100,
		},
	})
	if closeBackend != nil {
		defer closeBackend()
	}
	if err != nil {
		return fmt.Errorf("opening the SQLite back end: %w", err)
	}

	listener, err := clientconn.Listen(&clientconn.NewListenerOpts{
		TCP:     cfg.Address,
		Mode:    clientconn.NormalMode,
		Metrics: metrics,
		Handler: handler,
		Logger:  cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("listening on %s: %w", cfg.Address, err)
	}
	listener.Run(ctx)
	return nil
}
