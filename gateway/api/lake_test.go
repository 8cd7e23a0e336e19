package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/gateway/presign"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// exported returns a job that has exported users and not compras.
func exported() ingest.Job {
	job := jobOf(someOrder, someID)
	job.Status = ingest.Partial
	job.Results = ingest.Results{
		{Dataset: "users", Key: "mysql/users_20250102_153045.csv", State: ingest.Done, URL: "s3://bucket/mysql/users_20250102_153045.csv", Columns: []ingest.Column{
			{Name: "id", Type: "integer", SourceType: "bigint(20)"}, {Name: "dni", Type: "text", SourceType: "varchar(20)"},
		}},
		{Dataset: "compras", Key: "mysql/compras_20250102_153045.csv", State: ingest.Broken},
	}
	return job
}

func TestStatements(t *testing.T) {
	fake := &fakeJobs{latest: map[ingest.Database]map[string]jobs.Exported{
		ingest.MySQL: {"users": {JobID: someID, Result: exported().Results[0]}},
	}}
	a, _ := newAPI(t, fake, api.Config{})
	texts := map[string]string{}
	for query, sign := range map[string]string{"": "EXTERNAL TABLE", "?dialect=athena": "EXTERNAL TABLE", "?dialect=duckdb": "read_csv"} {
		w := call(a, http.MethodGet, "/api/ingesta/datasets/mysql/users/ddl"+query, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; charset=UTF-8" || !strings.Contains(w.Body.String(), sign) || !strings.Contains(w.Body.String(), "s3://bucket/mysql/") {
			t.Errorf("%q: %d, %s, want %s in it:\n%s", query, w.Code, w.Header().Get("Content-Type"), sign, w.Body)
		}
		texts[query] = w.Body.String()
	}
	if texts[""] != texts["?dialect=athena"] {
		t.Error("the dialect is not Athena's unless another is named")
	}
	elsewhere := exported().Results[0]
	elsewhere.URL = "s3://bucket/old/users.csv"
	fake.latest[ingest.MySQL]["users"] = jobs.Exported{JobID: someID, Result: elsewhere}
	wantProblem(t, call(a, http.MethodGet, "/api/ingesta/datasets/mysql/users/ddl", ""), http.StatusConflict, "dataset_never_exported")
}

func TestDownloads(t *testing.T) {
	fake := &fakeJobs{job: exported()}
	a, logs := newAPI(t, fake, api.Config{})
	target := "/api/ingesta/jobs/" + someID + "/datasets/"
	w := call(a, http.MethodGet, target+"users/download", "")
	if got := w.Header().Get("Location"); w.Code != http.StatusTemporaryRedirect || got != "https://s3.example/s3://bucket/mysql/users_20250102_153045.csv?signed" {
		t.Errorf("%d, Location %q", w.Code, got)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" || strings.Contains(logs.String(), "signed") {
		t.Errorf("the address is a secret: %v, %s", w.Header(), logs)
	}
	wantProblem(t, call(a, http.MethodGet, target+"compras/download", ""), http.StatusConflict, "dataset_not_done")
	wantProblem(t, call(a, http.MethodGet, target+"ofertas/download", ""), http.StatusNotFound, "dataset_not_found")
	for _, reason := range []presign.Reason{presign.Unconfigured, presign.NoCredentials, presign.Elsewhere} {
		fake.signed = &presign.Error{Reason: reason, Message: "there are none", Cause: errSecret}
		if p := wantProblem(t, call(a, http.MethodGet, target+"users/download", ""), http.StatusServiceUnavailable, "downloads_unavailable"); p.Detail != "there are none" {
			t.Errorf("the reason is %q", p.Detail)
		}
	}
	fake.signed = errors.New("a defect")
	wantProblem(t, call(a, http.MethodGet, target+"users/download", ""), http.StatusInternalServerError, "internal_error")
	fake.job.Status = ingest.Cancelled
	if p := wantProblem(t, call(a, http.MethodGet, target+"users/download", ""), http.StatusConflict, "dataset_not_done"); !strings.Contains(p.Detail, "cancelled") {
		t.Errorf("of a cancelled job: %q", p.Detail)
	}
}
