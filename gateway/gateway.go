// Package gateway wires the gateway together: configuration, the guard at the door, job store, broker,
// jobs, and on one port the HTTP API, its documents and the dashboard. It decides nothing but the order
// of starting and stopping; each part is documented where it lives.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

// The limits of the HTTP server. A request that waits for its job moves the read and write
// deadlines itself.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second // longer than the slowest acceptance
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10

	// shutdownTimeout is how long requests under way may take once the gateway is told to stop:
	// enough for an acceptance, less than the usual 30 seconds before a container is killed.
	shutdownTimeout = 20 * time.Second
)

// Run serves the API on the configured port until ctx ends, then answers what is under way and
// returns nil. Redis or RabbitMQ being away neither keeps it from starting nor ends it: requests
// are refused meanwhile, and /ready says why. What ends it is a configuration or a port that
// cannot work and, in production, a Redis that does not keep what it is given.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", cfg.Address())
	if err != nil {
		return fmt.Errorf("listening for HTTP: %w", err)
	}
	return serve(ctx, cfg, listener, log)
}

// serve is Run on a listener, which it closes.
func serve(ctx context.Context, cfg Config, listener net.Listener, log *slog.Logger) error {
	defer listener.Close() // for the ways out before the server owns it; closing twice is harmless
	datasets, err := catalog.Load(cfg.CatalogFile)
	if err != nil {
		return fmt.Errorf("loading the catalog: %w", err)
	}
	store, err := jobstore.Open(cfg.Store)
	if err != nil {
		return err
	}
	defer store.Close()
	var databases []ingest.Database
	for _, db := range datasets.Databases() {
		databases = append(databases, db.Name)
	}
	messages := broker.New(cfg.Broker, "gateway", databases, log)
	registry := telemetry.NewRegistry()
	service := jobs.New(cfg.Jobs, store, messages, datasets, registry, log)
	guard := auth.New(cfg.Auth, time.Now, log)
	handler, err := newHandler(ctx, cfg, parts{guard: guard, service: service, store: store, datasets: datasets, registry: registry, log: log})
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}

	// Guard, broker and jobs outlive the server: the last requests need them. The broker outlives the
	// jobs too, whose last events it carries.
	outer, stopOuter := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOuter()
	carrying, stopCarrying := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCarrying()
	group, groupCtx := errgroup.WithContext(outer)
	group.Go(func() error {
		guard.Run(outer)
		return nil
	})
	group.Go(func() error { return messages.Run(carrying) })
	jobsEnded := make(chan struct{})
	group.Go(func() error {
		defer close(jobsEnded)
		return service.Run(outer)
	})
	group.Go(func() error { return checkDurability(outer, store, cfg.Mode, log) })
	group.Go(func() error {
		log.Info("serving", "address", listener.Addr().String(), "catalog_digest", datasets.Digest())
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving HTTP: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-groupCtx.Done(): // a part that failed ends the gateway
		}
		log.Info("stopping")
		handler.Drain()
		err := shutdown(ctx, server)
		stopOuter()
		<-jobsEnded
		stopCarrying()
		return err
	})
	return group.Wait()
}

// shutdown lets requests under way end, and cuts those off that take too long.
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), shutdownTimeout, errors.New("waiting for requests under way timed out"))
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stopping the HTTP server: %w", errors.Join(context.Cause(ctx), server.Close()))
	}
	return nil
}

// durabilityInterval is how often a Redis that does not answer is asked again.
const durabilityInterval = 5 * time.Second

// checkDurability asks Redis, until it answers once, whether it keeps what it is given. It warns
// when not; in production it returns an error, because an accepted job must not get lost.
func checkDurability(ctx context.Context, store *jobstore.Store, mode config.Mode, log *slog.Logger) error {
	ticker := time.NewTicker(durabilityInterval)
	defer ticker.Stop()
	for {
		complaints, err := store.Durability(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			log.Debug("redis does not say how it keeps data", "error", err)
		case err == nil && len(complaints) > 0 && mode == config.Production:
			return fmt.Errorf("redis would lose accepted jobs, which production does not allow: %s", strings.Join(complaints, "; "))
		case err == nil:
			for _, complaint := range complaints {
				log.Warn("redis would lose accepted jobs", "complaint", complaint)
			}
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
