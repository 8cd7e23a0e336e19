package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// metrics counts what the service does. Labels are databases of the catalog and codes of this
// package, so their number is bounded.
type metrics struct {
	acceptances *prometheus.CounterVec
	joins       *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	repairs     *prometheus.CounterVec
	depths      *prometheus.GaugeVec
	consumers   *prometheus.GaugeVec
	leads       prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) metrics {
	m := metrics{
		acceptances: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingesta_jobs_accepted_total", Help: "Jobs accepted and confirmed.",
		}, []string{"database", "replayed"}),
		joins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingesta_jobs_joined_total", Help: "Orders answered with a job of another request that does the same.",
		}, []string{"database"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingesta_jobs_refused_total", Help: "Orders not accepted, by reason.",
		}, []string{"database", "code"}),
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingesta_reconciler_actions_total", Help: "What the reconciler mended, and where it failed.",
		}, []string{"action", "outcome"}),
		depths: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ingesta_queue_messages", Help: "Messages ready in each of the system's queues; absent while RabbitMQ does not tell.",
		}, []string{"queue"}),
		consumers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ingesta_queue_consumers", Help: "Consumers of each of the system's queues; absent while RabbitMQ does not tell.",
		}, []string{"queue"}),
		leads: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ingesta_reconciler_leads", Help: "1 while this gateway is the one that reconciles.",
		}),
	}
	registry.MustRegister(m.acceptances, m.joins, m.refusals, m.repairs, m.depths, m.consumers, m.leads)
	return m
}

func (m metrics) accepted(db ingest.Database, replayed bool) {
	m.acceptances.WithLabelValues(string(db), fmt.Sprint(replayed)).Inc()
}

func (m metrics) joined(db ingest.Database) { m.joins.WithLabelValues(string(db)).Inc() }

func (m metrics) refused(db ingest.Database, code Code) {
	m.refusals.WithLabelValues(string(db), string(code)).Inc()
}

// How often queues are measured, and for how long at most.
const (
	measureInterval = 15 * time.Second
	measureTimeout  = 5 * time.Second
)

// measure keeps the queues' gauges up to date until ctx ends.
func (s *Service) measure(ctx context.Context) {
	ticker := time.NewTicker(measureInterval)
	defer ticker.Stop()
	for {
		s.measureOnce(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) measureOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, measureTimeout, errors.New("measuring the queues timed out"))
	defer cancel()
	depths, err := s.broker.Depths(ctx)
	s.metrics.depths.Reset() // a gauge that is not known must not show its last value
	s.metrics.consumers.Reset()
	if err != nil {
		s.log.Debug("the queues could not be measured", "error", err)
		return
	}
	for queue, depth := range depths {
		s.metrics.depths.WithLabelValues(queue).Set(float64(depth.Messages))
		s.metrics.consumers.WithLabelValues(queue).Set(float64(depth.Consumers))
	}
}
