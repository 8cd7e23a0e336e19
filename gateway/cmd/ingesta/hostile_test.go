package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/pharmavida/ingesta/shared/program"
)

// misleading is what a terminal would obey: a title, an empty screen, a colour in both of its forms, and
// text that is shown backwards.
const misleading = "\x1b]0;title\x07\x1b[2J\u009b31m\u202egnorw"

// hostile answers as no gateway of ours would, with misleading text wherever there is text.
func hostile(w http.ResponseWriter, r *http.Request) {
	result := map[string]any{"state": "done", "url": "s3://lake/" + misleading, "key": "mysql/.bashrc", "registros": 1, "bytes": 5, "warnings": []string{misleading}}
	job := map[string]any{
		"job_id": "1" + misleading, "database": "mysql" + misleading, "status": "success", "requested_by": misleading, "created_at": "2026-01-02T15:04:05Z",
		"code": misleading, "error": misleading, "retry_of": misleading, "attempt": 2, "result": map[string]any{
			"users": result, "compras" + misleading: map[string]any{"code": misleading, "error": misleading},
		},
		"attempts": []any{
			map[string]any{"number": 1, "worker": misleading, "outcome": misleading, "code": misleading, "started_at": "2026-01-02T15:04:05Z"},
			map[string]any{"number": 2, "worker": misleading},
		},
	}
	answer := func(status int, v any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	w.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/events"):
		w.Header().Set("Content-Type", "text/event-stream")
		for _, status := range []string{"running", "success"} {
			job["status"] = status
			line, _ := json.Marshal(job)
			fmt.Fprintf(w, "event: job\ndata: %s\n\n", line)
		}
	case strings.HasSuffix(path, "/refused"):
		w.Header().Set("Content-Type", "application/problem+json")
		answer(http.StatusConflict, map[string]any{
			"code": "job_conflict", "detail": misleading, "job_ids": []string{misleading}, "errors": []any{
				map[string]any{"pointer": "/a", "detail": "is wrong"}, map[string]any{"pointer": misleading, "detail": misleading},
			},
		})
	case strings.HasSuffix(path, "/proxy"):
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, misleading)
	case strings.HasSuffix(path, "/jobs"):
		answer(http.StatusOK, map[string]any{"jobs": []any{job}})
	case strings.HasSuffix(path, "/datasets"):
		answer(http.StatusOK, map[string]any{"databases": []any{map[string]any{"name": misleading, "datasets": []any{map[string]any{"name": misleading, "kind": misleading}}}}})
	default:
		answer(http.StatusOK, job)
	}
}

// What a gateway says, or what stands in its place, moves no cursor, and puts no file where the shell
// looks for its own.
func TestTerminalsAreNotCommanded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(hostile))
	defer server.Close()
	t.Chdir(t.TempDir())
	for _, line := range []string{
		"jobs", "jobs --output json", "job 1", "job 1 --output json", "job 1 --watch", "job 1 --watch --output json", "job refused", "job proxy",
		"run mysql", "run mysql --wait", "retry 1", "cancel 1", "datasets", "datasets --output json", "download 1 nothing", "download 1 users",
	} {
		said := under(t.Context(), []string{"INGESTA_URL=" + server.URL, "HOME="}, strings.Fields(line)...)
		for name, text := range map[string]string{"standard output": said.stdout, "standard error": said.stderr} {
			at := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) })
			if at >= 0 {
				t.Errorf("ingesta %s commands the terminal on %s: %q", line, name, text[at:])
			}
		}
	}
	said := under(t.Context(), []string{"INGESTA_URL=" + server.URL, "HOME=", "INGESTA_OUTPUT=json"}, "job", "1")
	var job struct {
		By string `json:"requested_by"`
	}
	if err := json.Unmarshal([]byte(said.stdout), &job); err != nil || job.By != misleading {
		t.Errorf("as JSON the text is %q, %v; want it whole", job.By, err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}

// What no header can carry is a fault of the settings, and nobody is asked in vain.
func TestTokenThatIsNone(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	for _, token := range []string{"two\nlines", "two words", "eñe"} {
		said := under(t.Context(), []string{"INGESTA_URL=" + server.URL, "INGESTA_TOKEN=" + token, "HOME="}, "jobs")
		if said.code != program.ExitUsage || !strings.Contains(said.stderr, "the token (INGESTA_TOKEN)") || strings.Contains(said.stderr, token) {
			t.Errorf("%q: %+v", token, said)
		}
	}
	if asked {
		t.Error("the gateway was asked")
	}
}
