package engine

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// metrics of one engine. All labels are bounded: verdicts and failure codes are closed sets.
type metrics struct {
	running  prometheus.Gauge
	attempts *prometheus.CounterVec // by verdict
	datasets *prometheus.CounterVec // by outcome: "done" or a failure code
	rows     prometheus.Counter
	bytes    prometheus.Counter
	reaped   prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, database ingest.Database) *metrics {
	constant := prometheus.Labels{"database": string(database)}
	m := &metrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ingesta_jobs_running", Help: "Jobs that this worker is running.", ConstLabels: constant}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingesta_attempts_total", Help: "Attempts by how they ended.", ConstLabels: constant}, []string{"verdict"}),
		datasets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingesta_datasets_total", Help: "Datasets by outcome: done, or the code of their failure.", ConstLabels: constant}, []string{"outcome"}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingesta_rows_exported_total", Help: "Rows of committed datasets.", ConstLabels: constant}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingesta_exported_bytes_total", Help: "Bytes of committed datasets.", ConstLabels: constant}),
		reaped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingesta_uploads_reaped_total", Help: "Multipart uploads aborted because nobody worked on them.", ConstLabels: constant}),
	}
	registry.MustRegister(m.running, m.attempts, m.datasets, m.rows, m.bytes, m.reaped)
	return m
}
