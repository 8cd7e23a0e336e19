package gateway

import (
	"context"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/docs"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/gateway/presign"
	"github.com/pharmavida/ingesta/gateway/web"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/telemetry"
)

// parts are what stands behind the HTTP of the gateway.
type parts struct {
	guard    *auth.Guard
	service  *jobs.Service
	store    *jobstore.Store
	datasets *catalog.Catalog
	registry *prometheus.Registry
	log      *slog.Logger
}

// newHandler puts everything that answers HTTP together: the API, and behind its middleware the
// documents and the dashboard.
func newHandler(ctx context.Context, cfg Config, p parts) (*api.API, error) {
	documents, err := docs.Routes()
	if err != nil {
		return nil, err
	}
	dashboard, err := web.New(web.Parts{
		Guard: p.guard, Reader: p.service, Doer: p.service, Letters: p.service, Prober: p.service, Watcher: p.service,
		Catalog: p.datasets, Version: telemetry.Version(),
	})
	if err != nil {
		return nil, err
	}
	downloads, err := presign.New(ctx, cfg.Downloads)
	if err != nil {
		return nil, err
	}
	return api.New(cfg.API, api.Parts{ //nolint:contextcheck // streams have the contexts of their requests
		Guard: p.guard, Jobs: p.service, Health: p.service, Limiter: p.store, Downloads: downloads, Catalog: p.datasets,
		Template: cfg.Jobs.KeyTemplate, Version: telemetry.Version(), Registry: p.registry, Log: p.log,
	}, slices.Concat(documents, dashboard.Routes())...)
}
