package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/program"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

const exported = "id,nombre\n1,Ana\n"

// exporting plays the worker that exports users, and leaves the content in S3.
func (s *system) exporting(storage *s3.Client, content string) ingest.Job {
	s.t.Helper()
	s.must("run", "mysql", "--dataset", "users")
	job := s.newest()
	sum := sha256.Sum256([]byte(exported))
	r := &job.Results[0]
	if _, err := storage.PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: &s.bucket, Key: &r.Key, Body: strings.NewReader(content)}); err != nil {
		s.t.Fatal(err)
	}
	lease := s.claim(job)
	r.State, r.URL, r.Rows, r.Bytes, r.SHA256 = ingest.Done, "s3://"+s.bucket+"/"+r.Key, 1, int64(len(exported)), hex.EncodeToString(sum[:])
	r.Columns = []ingest.Column{{Name: "id", Type: ingest.TypeInteger, SourceType: "bigint"}, {Name: "nombre", Type: ingest.TypeText, SourceType: "varchar(100)"}}
	if _, err := lease.Finish(s.t.Context(), jobstore.Finish{Status: ingest.Success, Results: job.Results}); err != nil {
		s.t.Fatal(err)
	}
	return job
}

func TestDownload(t *testing.T) {
	s := newSystem(t)
	storage := stacktest.S3(t)
	t.Chdir(t.TempDir())
	if got := s.ingesta("datasets", "ddl", "mysql", "users"); got.code != exitRefused || !strings.Contains(got.stderr, "the statements need the types that an export tells") {
		t.Errorf("statements of what was never exported: %+v", got)
	}
	job := s.exporting(storage, exported)
	name := path.Base(job.Results[0].Key)
	got := s.ingesta("download", job.ID, "users")
	content, err := os.ReadFile(name)
	if err != nil || string(content) != exported || got.code != program.ExitOK || got.stdout != "" {
		t.Errorf("%+v, and the file holds %q, %v", got, content, err)
	}
	want(t, got.stderr, name+": 1 rows, 16 B; size and SHA-256 are right")
	if got := s.ingesta("download", job.ID, "users"); got.code != program.ExitUsage || !strings.Contains(got.stderr, "--force replaces it") {
		t.Errorf("over a file: %+v", got)
	}
	if got := s.ingesta("download", job.ID, "users", "--force", "--output", "json"); got.code != program.ExitOK || one[map[string]any](t, got.stdout)["bytes"] != float64(len(exported)) {
		t.Errorf("by force: %+v", got)
	}
	if got := s.must("download", job.ID, "users", "-o", "-"); got != exported {
		t.Errorf("to standard output: %q", got)
	}
	for _, wrong := range []string{"id,nombre\n1,Eva\n", exported[1:], ""} {
		got := s.ingesta("download", s.exporting(storage, wrong).ID, "users", "-o", "wrong.csv")
		if got.code != program.ExitError || !strings.Contains(got.stderr, "it is not what the job has written") {
			t.Errorf("%q: %+v", wrong, got)
		}
	}
	left, err := filepath.Glob("*")
	hidden, _ := filepath.Glob(".*") // the pattern is well-formed
	if err != nil || len(left) != 1 || len(hidden) > 0 {
		t.Errorf("left behind: %q %q, %v", left, hidden, err)
	}
	queued := one[ingest.Job](t, s.must("run", "mysql", "--output", "json"))
	if got := s.ingesta("download", queued.ID, "users"); got.code != exitRefused {
		t.Errorf("of what is not done yet: %+v", got)
	}

	want(t, s.must("datasets", "ddl", "mysql", "users"), "CREATE EXTERNAL TABLE", "nombre")
	want(t, s.must("datasets", "ddl", "mysql", "users", "--dialect", "duckdb"), "read_csv", "nombre")
	said := one[map[string]string](t, s.must("datasets", "ddl", "mysql", "users", "--output", "json"))
	if said["dialect"] != "athena" || !strings.Contains(said["statements"], "CREATE EXTERNAL TABLE") {
		t.Errorf("as JSON: %v", said)
	}
}

// The types of the client know every field that the gateway sends.
func TestContract(t *testing.T) {
	s := newSystem(t)
	s.must("run", "mysql")
	for path, v := range contract() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimPrefix(s.environ[0], "INGESTA_URL=")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.Body.Close() != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(v); err != nil {
			t.Errorf("%s: %v: %s", path, err, body)
		}
	}
}

func contract() map[string]any {
	return map[string]any{
		"/api/ingesta/datasets":     &client.Catalog{},
		"/api/ingesta/health":       &client.Health{},
		"/api/ingesta/dead-letters": &client.DeadLetters{},
		"/api/ingesta/jobs":         &client.Page{},
		"/api/ingesta/jobs/nope":    &client.Problem{},
	}
}
