package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check reports why one dependency is not usable, or nil. Its message is shown to operators.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// checkTimeout bounds one check.
const checkTimeout = 3 * time.Second

// Serve answers /health (the process is alive), /ready (every check passes) and /metrics on the
// address until ctx ends. It returns nil after an orderly end.
func Serve(ctx context.Context, address string, checks []Check, registry *prometheus.Registry) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening for health checks: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		status, report := run(r.Context(), checks)
		answer(w, status, report)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 15 * time.Second, IdleTimeout: time.Minute}

	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		closing, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), 5*time.Second, errors.New("closing the health listener timed out"))
		defer cancel()
		_ = server.Shutdown(closing) // what is still answering a probe may be cut off
	})
	err = server.Serve(listener)
	if stop() {
		return fmt.Errorf("serving health checks: %w", err) // it ended by itself
	}
	<-stopped
	return nil
}

// run runs all checks side by side, each within its own timeout, and returns the HTTP status that
// sums them up and a report for people: name → "ok" or what is wrong.
func run(ctx context.Context, checks []Check) (int, map[string]string) {
	problems := make([]error, len(checks))
	done := make(chan int, len(checks))
	for i, check := range checks {
		go func() {
			ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, fmt.Errorf("checking %s timed out", check.Name))
			defer cancel()
			problems[i] = check.Run(ctx)
			done <- i
		}()
	}
	status, report := http.StatusOK, make(map[string]string, len(checks))
	for range checks {
		i := <-done
		report[checks[i].Name] = "ok"
		if problems[i] != nil {
			report[checks[i].Name] = problems[i].Error()
			status = http.StatusServiceUnavailable
		}
	}
	return status, report
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
