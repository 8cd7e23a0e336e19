package docs_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/docs"
)

// serve returns a server of the routes, without the API around them.
func serve(t *testing.T) *echo.Echo {
	t.Helper()
	routes, err := docs.Routes()
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	for _, r := range routes {
		if r.Need != api.OpenToAll {
			t.Errorf("%s needs %s, want nothing", r.Path, r.Need)
		}
		e.Add(r.Method, r.Path, r.Handle)
	}
	return e
}

func get(t *testing.T, e *echo.Echo, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	e.ServeHTTP(recorder, request)
	return recorder
}

func TestDocumentsHaveTags(t *testing.T) {
	e := serve(t)
	for path, contentType := range map[string]string{
		"/openapi.yaml": "application/yaml", "/openapi.json": "application/json", "/asyncapi.yaml": "application/yaml",
		"/docs": "text/html; charset=utf-8", "/redoc": "text/html; charset=utf-8",
		"/docs/assets/swagger-ui.css": "text/css; charset=utf-8", "/docs/assets/swagger.js": "text/javascript; charset=utf-8",
	} {
		first := get(t, e, path)
		if first.Code != http.StatusOK || first.Header().Get("Content-Type") != contentType || first.Header().Get("Cache-Control") == "" {
			t.Errorf("%s is answered with %d, %v; want 200, %s and a Cache-Control", path, first.Code, first.Header(), contentType)
		}
		again := get(t, e, path, "If-None-Match", `"other", W/`+first.Header().Get("ETag"))
		if again.Code != http.StatusNotModified || again.Body.String() != "" {
			t.Errorf("%s with the tag of the answer before is answered with %d, want 304", path, again.Code)
		}
	}
	if !strings.Contains(get(t, e, "/openapi.json").Body.String(), `"openapi":"3.1.0"`) {
		t.Error("/openapi.json is not the contract")
	}
}

func TestCompressedAssets(t *testing.T) {
	e := serve(t)
	const path = "/docs/assets/redoc.standalone.js"
	zipped := get(t, e, path, "Accept-Encoding", "br, gzip;q=0.8")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("who takes gzip is answered with %v", zipped.Header())
	}
	reader, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, takes := range []string{"", "identity", "gzip;q=0", "gzip; q=0.000"} {
		plain := get(t, e, path, "Accept-Encoding", takes)
		if plain.Header().Get("Content-Encoding") != "" || plain.Body.String() != string(unzipped) {
			t.Errorf("who takes %q is not answered with the plain file: %v", takes, plain.Header())
		}
		if plain.Header().Get("ETag") == zipped.Header().Get("ETag") {
			t.Error("two forms of a file share a tag")
		}
	}
}

var (
	foreign = regexp.MustCompile(`(src|href)="(https?:)?//`)
	inline  = regexp.MustCompile(`<script(>|[^>]*[^>]>[^<])|<style|style="|\son[a-z]+="|javascript:`)
)

// No page asks another host for anything or has script of its own, and its policy forbids both.
func TestPagesAreStrict(t *testing.T) {
	e := serve(t)
	for _, path := range []string{"/docs", "/redoc", "/problems", "/problems/job_over"} {
		r := get(t, e, path)
		policy := r.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none';") || !strings.Contains(policy, "frame-ancestors 'none'") ||
			strings.Contains(policy, "script-src 'self' ") || strings.Contains(policy, "unsafe-eval") || strings.Contains(policy, "http") {
			t.Errorf("the policy of %s is %q", path, policy)
		}
		page := r.Body.String()
		if found := foreign.FindString(page); found != "" {
			t.Errorf("%s asks another host: %s", path, found)
		}
		if found := inline.FindString(page); found != "" {
			t.Errorf("%s has script or style of its own: %s", path, found)
		}
		for _, asset := range regexp.MustCompile(`"(/docs/assets/[^"]+)"`).FindAllStringSubmatch(page, -1) {
			if found := get(t, e, asset[1]); found.Code != http.StatusOK {
				t.Errorf("%s needs %s, which is answered with %d", path, asset[1], found.Code)
			}
		}
	}
}

func TestProblemPages(t *testing.T) {
	e := serve(t)
	for _, tt := range []struct{ accept, language, wants string }{
		{"text/html,application/xhtml+xml,*/*;q=0.8", "en-GB,en;q=0.9", "<h1>The job is over</h1>"},
		{"", "", "<h1>The job is over</h1>"},
		{"text/html", "es-PE,es;q=0.9,en;q=0.1", "<h1>El trabajo ya terminó</h1>"},
		{"text/html", "de, es;q=0.3, en;q=0.2", "<h1>El trabajo ya terminó</h1>"},
		{"text/html", "es;q=0, en;q=0.2", "<h1>The job is over</h1>"},
		{"application/json", "", `"title":"The job is over"`},
		{"application/problem+json, application/json", "es", `"title":"El trabajo ya terminó"`},
	} {
		r := get(t, e, "/problems/job_over", "Accept", tt.accept, "Accept-Language", tt.language)
		if text := r.Body.String(); r.Code != http.StatusOK || !strings.Contains(text, tt.wants) {
			t.Errorf("who accepts %q in %q is answered with %d, want %s in\n%s", tt.accept, tt.language, r.Code, tt.wants, text)
		}
	}
	if r := get(t, e, "/problems/no_such_thing"); r.Code != http.StatusNotFound {
		t.Errorf("a problem that does not exist is answered with %d, want 404", r.Code)
	}
}

// The index leads to every kind of problem.
func TestProblemIndex(t *testing.T) {
	e := serve(t)
	page := get(t, e, "/problems").Body.String()
	var index struct{ Problems []api.Kind }
	if err := json.Unmarshal(get(t, e, "/problems", "Accept", "application/json").Body.Bytes(), &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Problems) != len(api.Kinds(api.English)) {
		t.Errorf("the index has %d problems, want %d", len(index.Problems), len(api.Kinds(api.English)))
	}
	for _, kind := range index.Problems {
		if !strings.Contains(page, `<a href="`+kind.Type+`">`) {
			t.Errorf("the page does not lead to %s", kind.Type)
		}
		if r := get(t, e, kind.Type); r.Code != http.StatusOK {
			t.Errorf("%s is answered with %d", kind.Type, r.Code)
		}
	}
}

// What is not for browsers is not served.
func TestAssetsAreFew(t *testing.T) {
	e := serve(t)
	for _, name := range []string{"VERSION", "swagger-ui.css.gz", "..%2Fpage.html", "page.html"} {
		if r := get(t, e, "/docs/assets/"+name); r.Code != http.StatusNotFound {
			t.Errorf("asset %s is answered with %d, want 404", name, r.Code)
		}
	}
	if text := get(t, e, "/docs/assets/swagger-ui.LICENSE.txt").Body.String(); !bytes.Contains([]byte(text), []byte("Apache License")) {
		t.Error("the licence of Swagger UI is not shown")
	}
}
