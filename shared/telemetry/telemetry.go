// Package telemetry gives every program the same logs, the same metrics endpoint and the same
// health endpoints.
//
// It holds no metric of its own: a package that has something to count makes its collectors in
// its constructor and registers them where it is wired.
package telemetry

import (
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// version is set by the linker: -X github.com/pharmavida/ingesta/shared/telemetry.version=…
var version = "dev"

// Version returns the version that the program was built as, "dev" when it was not said.
func Version() string { return version }

// Config says how to log.
type Config struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info"`  // debug, info, warn, error
	Format Format     `env:"LOG_FORMAT" envDefault:"json"` // json, text
}

// NewLogger returns a logger that writes to w and names the service in each line.
func NewLogger(w io.Writer, cfg Config, service string) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Level}
	var handler slog.Handler = slog.NewJSONHandler(w, options)
	if cfg.Format == Text {
		handler = slog.NewTextHandler(w, options)
	}
	return slog.New(handler).With("service", service, "version", version)
}

// NewRegistry returns a metrics registry with the collectors of the Go runtime and the process.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
