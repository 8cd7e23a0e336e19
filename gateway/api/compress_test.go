package api_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// unzip returns what a compressed answer says.
func unzip(t *testing.T, body *bytes.Buffer) string {
	t.Helper()
	r, err := gzip.NewReader(body)
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func TestCompression(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 64)
	text := func(contentType string, parts ...string) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set(echo.HeaderContentType, contentType)
			for _, part := range parts {
				if _, err := io.WriteString(c.Response(), part); err != nil {
					return err
				}
			}
			return nil
		}
	}
	flushing := func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentType, "text/event-stream")
		for _, part := range []string{long, long} {
			if _, err := io.WriteString(c.Response(), part); err != nil {
				return err
			}
			c.Response().Flush()
		}
		return nil
	}
	encoded := func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentEncoding, "br")
		return c.Blob(http.StatusOK, "text/plain", []byte(long))
	}
	failing := func(echo.Context) error { return fmt.Errorf("%s", long) }
	tests := []struct {
		name, accept string
		handle       echo.HandlerFunc
		zipped       bool
		vary         string
		want         string
	}{
		{"long JSON", "gzip", text("application/json", long), true, "Accept-Encoding", long},
		{"HTML in parts", "gzip, deflate, br", text("text/html; charset=utf-8", long[:1000], long[1000:]), true, "Accept-Encoding", long},
		{"many parts", "*", text("text/html; charset=utf-8", strings.Split(long, "")...), true, "Accept-Encoding", long},
		{"short", "gzip", text("application/json", long[:1000]), false, "Accept-Encoding", long[:1000]},
		{"short in parts", "gzip", text("application/json", "a", "b"), false, "Accept-Encoding", "ab"},
		{"nothing", "gzip", text("application/json"), false, "", ""},
		{"not accepted", "deflate", text("application/json", long), false, "Accept-Encoding", long},
		{"refused", "gzip;q=0, *", text("application/json", long), false, "Accept-Encoding", long},
		{"refused with all", "*;q=0", text("application/json", long), false, "Accept-Encoding", long},
		{"with a weight", "br;q=1.0, GZIP ; q=0.5", text("application/json", long), true, "Accept-Encoding", long},
		{"nonsense", "gzip;q=many", text("application/json", long), false, "Accept-Encoding", long},
		{"an image", "gzip", text("image/png", long), false, "", long},
		{"a stream", "gzip", flushing, false, "", long + long},
		{"encoded", "gzip", encoded, false, "", long},
		{"a failure", "gzip", failing, false, "Accept-Encoding", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newGuardedAPI(t, &fakeJobs{}, api.Config{}, auth.Config{}, api.Route{
				Method: http.MethodGet, Path: "/text", Need: api.OpenToAll, Handle: tt.handle,
			})
			w := call(a, http.MethodGet, "/text", "", "Accept-Encoding: "+tt.accept)
			if zipped := w.Header().Get("Content-Encoding") == "gzip"; zipped != tt.zipped || w.Header().Get("Vary") != tt.vary {
				t.Fatalf("compressed: %t, Vary: %q; want %t, %q", zipped, w.Header().Get("Vary"), tt.zipped, tt.vary)
			}
			said := w.Body.String()
			if tt.zipped {
				said = unzip(t, w.Body)
			}
			if tt.want != "" && said != tt.want {
				t.Errorf("the answer is %q", said)
			}
		})
	}
}

// The tag of a compressed answer is a weak one, and either form of it is recognised.
func TestTagsOfCompressedAnswers(t *testing.T) {
	job := jobOf(someOrder, someID)
	job.Error = strings.Repeat("long ", 500)
	a, _ := newAPI(t, &fakeJobs{job: job}, api.Config{})
	target := "/api/ingesta/jobs/" + someID
	plain, zipped := call(a, http.MethodGet, target, ""), call(a, http.MethodGet, target, "", "Accept-Encoding: gzip")
	strong := plain.Header().Get("ETag")
	if weak := zipped.Header().Get("ETag"); weak != "W/"+strong || zipped.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("the tags are %s and, compressed, %s", strong, weak)
	}
	if got := unzip(t, zipped.Body); got != plain.Body.String() {
		t.Errorf("compressed, the job is %s", got)
	}
	for _, accept := range []string{"gzip", "identity"} {
		for _, tag := range []string{strong, "W/" + strong} {
			w := call(a, http.MethodGet, target, "", "Accept-Encoding: "+accept, "If-None-Match: "+tag)
			if w.Code != http.StatusNotModified || w.Body.Len() > 0 || !strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
				t.Errorf("%s with %s: %d, %v", accept, tag, w.Code, w.Header())
			}
			if got := w.Header().Get("ETag"); strings.HasPrefix(got, "W/") != (accept == "gzip") {
				t.Errorf("%s: a 304 has the tag %s, unlike the answer that it speaks of", accept, got)
			}
		}
	}
	if w := call(a, http.MethodHead, target, "", "Accept-Encoding: gzip"); w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("HEAD: %d, %v", w.Code, w.Header())
	}
}

func BenchmarkCompressedJob(b *testing.B) {
	job := jobOf(someOrder, someID)
	for i := range 20 {
		job.Results = append(job.Results, ingest.Result{Dataset: fmt.Sprint("d", i), State: ingest.Done, URL: "s3://bucket/key", Rows: int64(i)})
	}
	a, _ := newAPI(b, &fakeJobs{job: job}, api.Config{})
	b.ReportAllocs()
	for b.Loop() {
		call(a, http.MethodGet, "/api/ingesta/jobs/"+someID, "", "Accept-Encoding: gzip")
	}
}
