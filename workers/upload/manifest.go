package upload

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// ManifestVersion is the version of the manifest's form that this code writes and reads.
const ManifestVersion = 1

// Manifest is the commit mark of a job for whoever reads the lake: an object that no manifest
// names is not (yet) part of it. It is written once at least one dataset succeeded, before the
// job is told to be over.
type Manifest struct {
	Version       int               `json:"version"`
	JobID         string            `json:"job_id"`
	RetryOf       string            `json:"retry_of,omitempty"`
	Database      ingest.Database   `json:"database"`
	Status        ingest.Status     `json:"status"` // success or partial
	RequestedBy   string            `json:"requested_by"`
	CatalogDigest string            `json:"catalog_digest"` // of the catalog that the worker read
	WorkerVersion string            `json:"worker_version"`
	Fence         int64             `json:"fence"` // of the attempt that ended the job
	CreatedAt     time.Time         `json:"created_at"`
	FinishedAt    time.Time         `json:"finished_at"`
	Objects       []ManifestObject  `json:"objects"`
	Failures      []ManifestFailure `json:"failures"`
}

// ManifestObject is one complete object.
type ManifestObject struct {
	Dataset    string            `json:"dataset"`
	Key        string            `json:"key"`
	URL        string            `json:"url"`
	Format     string            `json:"format"`
	Rows       int64             `json:"rows"` // records, without the header
	Bytes      int64             `json:"bytes"`
	SHA256     string            `json:"sha256"`
	Columns    []ingest.Column   `json:"columns"`
	Withheld   []ingest.Withheld `json:"withheld"` // columns kept out of the file, and the rule that did it
	Snapshot   *ingest.Snapshot  `json:"snapshot,omitempty"`
	Warnings   []string          `json:"warnings"`
	StartedAt  time.Time         `json:"started_at,omitzero"`
	FinishedAt time.Time         `json:"finished_at,omitzero"`
}

// ManifestFailure is one dataset that the job could not export.
type ManifestFailure struct {
	Dataset string      `json:"dataset"`
	Code    ingest.Code `json:"code"`
	Error   string      `json:"error"`
}

// ManifestKey returns the key of a job's manifest.
func ManifestKey(database ingest.Database, jobID string) string {
	return fmt.Sprintf("%s/_manifests/%s.json", database, jobID)
}

// AddResults files the results of the job's datasets under objects and failures. A dataset that
// is not done counts as failed.
func (m *Manifest) AddResults(results ingest.Results) {
	for _, r := range results {
		if r.State != ingest.Done {
			m.Failures = append(m.Failures, ManifestFailure{Dataset: r.Dataset, Code: r.Code, Error: r.Error})
			continue
		}
		m.Objects = append(m.Objects, ManifestObject{
			Dataset: r.Dataset, Key: r.Key, URL: r.URL, Format: r.Format,
			Rows: r.Rows, Bytes: r.Bytes, SHA256: r.SHA256, Columns: r.Columns, Withheld: r.Withheld,
			Snapshot: r.Snapshot, Warnings: r.Warnings, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
		})
	}
}

// Results returns what AddResults was given, but for the progress of failed datasets.
func (m Manifest) Results() ingest.Results {
	var results ingest.Results
	for _, o := range m.Objects {
		results = append(results, ingest.Result{
			Dataset: o.Dataset, Key: o.Key, State: ingest.Done, URL: o.URL, Format: o.Format,
			Rows: o.Rows, Bytes: o.Bytes, SHA256: o.SHA256, Columns: o.Columns, Withheld: o.Withheld,
			Snapshot: o.Snapshot, Warnings: o.Warnings, StartedAt: o.StartedAt, FinishedAt: o.FinishedAt,
		})
	}
	for _, f := range m.Failures {
		results = append(results, ingest.Result{Dataset: f.Dataset, State: ingest.Broken, Code: f.Code, Error: f.Error})
	}
	return results
}

// Encode returns the manifest's JSON, of ManifestVersion. Lists are never null.
func (m Manifest) Encode() ([]byte, error) {
	m.Version = ManifestVersion
	m.Objects = append([]ManifestObject{}, m.Objects...)
	m.Failures = append([]ManifestFailure{}, m.Failures...)
	for i := range m.Objects {
		o := &m.Objects[i]
		o.Columns = append([]ingest.Column{}, o.Columns...)
		o.Withheld = append([]ingest.Withheld{}, o.Withheld...)
		o.Warnings = append([]string{}, o.Warnings...)
	}
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest of job %s: %w", m.JobID, err)
	}
	return append(body, '\n'), nil
}

// DecodeManifest reads the JSON of a manifest. Fields it does not know are ignored.
func DecodeManifest(body []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return Manifest{}, fmt.Errorf("decoding a manifest: %w", err)
	}
	if m.Version != ManifestVersion {
		return Manifest{}, fmt.Errorf("decoding a manifest: it is of version %d; this worker knows version %d", m.Version, ManifestVersion)
	}
	return m, nil
}
