package e2e

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// The main job for each database, as a client sees it, with the demo data of the local stack.
func TestIngestion(t *testing.T) {
	tests := []struct {
		database ingest.Database
		datasets map[string]string // dataset → its header
	}{
		{ingest.MongoDB, map[string]string{
			"medicos": "_id,cmp,nombre,especialidad,colegiaturaValida,createdAt,updatedAt",
			"recetas": "_id,pacienteDNI,medicoCMP,fechaEmision,productos,archivoPDF,estadoValidacion,createdAt,updatedAt",
		}},
		{ingest.MySQL, map[string]string{
			"users":   "id,dni,nombre,apellido,email,role,distrito",
			"compras": "id,fecha_compra,usuario_id,productos,cantidades",
		}},
		{ingest.PostgreSQL, map[string]string{
			"productos": "id,nombre,tipo,precio,stock,requiere_receta,fecha_creacion,fecha_actualizacion",
			"ofertas":   "oferta_id,fecha_vencimiento,fecha_creacion,fecha_actualizacion,detalle_id,producto_id,producto_nombre,descuento",
		}},
	}
	for _, tt := range tests {
		t.Run(string(tt.database), func(t *testing.T) {
			s := newSystem(t)
			s.work(tt.database)
			s.awaitHealth(tt.database)
			var accepted ingest.Job
			header := s.call(http.MethodPost, "/api/ingesta/"+string(tt.database), "", nil, http.StatusAccepted, &accepted)
			if accepted.Status != ingest.Queued || header.Get("Retry-After") == "" || !strings.HasSuffix(header.Get("Location"), "/api/ingesta/jobs/"+accepted.ID) {
				t.Errorf("the answer is %+v with %v", accepted, header)
			}
			job := s.follow(header.Get("Location"))
			if job.Status != ingest.Success || len(job.Results) != len(tt.datasets) {
				t.Fatalf("the job ended as %s with %d datasets: %s", job.Status, len(job.Results), job.Error)
			}
			for _, r := range job.Results {
				content := s.verify(r)
				if first, _, _ := bytes.Cut(content, []byte("\n")); string(first) != tt.datasets[r.Dataset] {
					t.Errorf("the header of %s is %s, want %s", r.Dataset, first, tt.datasets[r.Dataset])
				}
				records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
				if err != nil || int64(len(records)-1) != r.Rows || r.Rows == 0 {
					t.Errorf("%s has %d records (%v), registros is %d", r.Dataset, len(records)-1, err, r.Rows)
				}
			}
			e := s.event(job.ID)
			if e.Kind != ingest.EventSuccess || e.Body.Status != "completed" || e.Body.BatchID != job.ID || e.Body.UserID != "system" || len(e.Body.Results) != len(tt.datasets) {
				t.Errorf("the completion event is %+v", e)
			}
		})
	}
}

// A client of the original waits for the answer and reads status and result.
func TestWaitingClient(t *testing.T) {
	s := newSystem(t)
	s.work(ingest.MySQL)
	var job ingest.Job
	header := s.call(http.MethodPost, "/api/ingesta/mysql", `{"datasets":["users"]}`, http.Header{"Prefer": {"wait=30"}}, http.StatusOK, &job)
	if job.Status != ingest.Success || len(job.Results) != 1 || job.Results[0].Dataset != "users" || header.Get("Preference-Applied") == "" {
		t.Errorf("got %+v with %v", job, header)
	}
}

// A table that is missing is named, and the other dataset still arrives.
func TestMissingTable(t *testing.T) {
	catalog := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(catalog, []byte(`
version: 1
databases:
  - name: postgresql
    datasets:
      - {name: lotes, table: lotes_vencidos}
      - {name: productos, table: productos}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, "CATALOG_FILE="+catalog)
	s.work(ingest.PostgreSQL)
	var job ingest.Job
	s.call(http.MethodPost, "/api/ingesta/postgresql", "", http.Header{"Prefer": {"wait=30"}}, http.StatusOK, &job)
	lotes := job.Results.Of("lotes")
	if job.Status != ingest.Partial || lotes.Code != ingest.TableNotFound || !strings.Contains(lotes.Error, "lotes_vencidos") {
		t.Errorf("the job ended as %s, lotes as %+v", job.Status, lotes)
	}
	s.verify(*job.Results.Of("productos"))
	if e := s.event(job.ID); e.Body.Status != "partial" {
		t.Errorf("the completion event says %s", e.Body.Status)
	}
}

// A worker whose source is away starts, says so, and its jobs end as errors after their retries.
func TestSourceAway(t *testing.T) {
	away := map[ingest.Database]string{
		ingest.MongoDB: "MONGO_PORT=1", ingest.MySQL: "SOURCE_MYSQL_PORT=1", ingest.PostgreSQL: "POSTGRES_PORT=1",
	}
	for database, override := range away {
		t.Run(string(database), func(t *testing.T) {
			s := newSystem(t, "INGESTA_RETRY_DELAYS=50ms,100ms", "INGESTA_MAX_FAILURES=3", "MONGO_CONNECT_TIMEOUT=500ms")
			worker := s.work(database, override)
			stacktest.Eventually(s.t, "the worker says that it is not ready", func() bool { return s.status(worker+"/ready") == http.StatusServiceUnavailable })
			var job ingest.Job
			s.call(http.MethodPost, "/api/ingesta/"+string(database), "", http.Header{"Prefer": {"wait=30"}}, http.StatusOK, &job)
			if job.Status != ingest.Failed || job.Code != ingest.SourceUnavailable || job.Attempt != 3 {
				t.Errorf("the job ended as %s with code %s after %d attempts, want error, source_unavailable and 3", job.Status, job.Code, job.Attempt)
			}
			if e := s.event(job.ID); e.Body.Status != "error" {
				t.Errorf("the completion event says %s", e.Body.Status)
			}
		})
	}
}
