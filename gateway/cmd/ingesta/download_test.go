package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
)

const exported = "id,nombre\n1,Ana\n"

// lake is a gateway that knows one job, whose object is what a test says, behind a link.
func lake(t *testing.T, object string) (url string) {
	t.Helper()
	sum := sha256.Sum256([]byte(exported))
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusBadRequest) // as S3 does
		}
		_, _ = io.WriteString(w, object) // the other side sees when it is cut
	}))
	t.Cleanup(storage.Close)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/datasets/users/download") {
			http.Redirect(w, r, storage.URL+"/users.csv?signature=x", http.StatusTemporaryRedirect)
			return
		}
		_ = json.NewEncoder(w).Encode(ingest.Job{ID: firstJob, Database: ingest.MySQL, Status: ingest.Success, Results: ingest.Results{
			{Dataset: "users", Key: "mysql/users_20250102_120000.csv", State: ingest.Done, Rows: 1, Bytes: int64(len(exported)), SHA256: hex.EncodeToString(sum[:])},
		}})
	}))
	t.Cleanup(gateway.Close)
	return gateway.URL
}

func TestDownload(t *testing.T) {
	t.Chdir(t.TempDir())
	url := lake(t, exported)
	download := func(url string, args ...string) said {
		return under(t.Context(), []string{"INGESTA_URL=" + url, "INGESTA_TOKEN=t"}, append([]string{"download", firstJob, "users"}, args...)...)
	}
	got := download(url)
	content, err := os.ReadFile("users_20250102_120000.csv")
	if err != nil || string(content) != exported || got.code != program.ExitOK || got.stdout != "" {
		t.Errorf("%+v, and the file holds %q, %v", got, content, err)
	}
	want(t, got.stderr, "users_20250102_120000.csv: 1 rows, 16 B; size and SHA-256 are right")
	if got := download(url); got.code != program.ExitUsage || !strings.Contains(got.stderr, "--force replaces it") {
		t.Errorf("over a file: %+v", got)
	}
	if got := download(url, "--force", "--output", "json"); got.code != program.ExitOK || one[map[string]any](t, got.stdout)["bytes"] != float64(len(exported)) {
		t.Errorf("by force: %+v", got)
	}
	if got := download(url, "-o", "-"); got.code != program.ExitOK || got.stdout != exported {
		t.Errorf("to standard output: %+v", got)
	}
	for _, wrong := range []string{"id,nombre\n1,Eva\n", exported[1:], ""} {
		got := download(lake(t, wrong), "-o", "wrong.csv")
		if got.code != program.ExitError || !strings.Contains(got.stderr, "it is not what the job has written") {
			t.Errorf("%q: %+v", wrong, got)
		}
	}
	left, err := filepath.Glob("*")
	hidden, _ := filepath.Glob(".*") // the pattern is well-formed
	if err != nil || len(left) != 1 || len(hidden) > 0 {
		t.Errorf("left behind: %q %q, %v", left, hidden, err)
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
