// Package docs shows the contracts of the system to people: the HTTP contract as it is, in Swagger UI
// and in ReDoc; the broker's contract; and a page for each kind of problem, which is where the type of
// every problem leads.
//
// All of it is open to all: it tells of no one's data. Everything is embedded, no page asks another
// host for anything, and none has inline script; each has a Content-Security-Policy that holds it to
// that.
package docs

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/openapi"
	"github.com/pharmavida/ingesta/shared/broker"
)

//go:embed assets page.html problem.html
var files embed.FS

// How long a file may be used without asking whether it has changed.
const (
	always  = "no-cache"             // asks each time, which mostly costs a 304
	forHour = "public, max-age=3600" // assets change with the version of the gateway only
)

// Routes returns the routes of the documents and pages.
func Routes() ([]api.Route, error) {
	asJSON, err := openapi.JSON()
	if err != nil {
		return nil, err
	}
	swagger, err := viewer("PharmaVida Ingesta · API", []string{"viewer.css", "swagger-ui.css"}, "swagger-ui-bundle.js", "swagger.js")
	if err != nil {
		return nil, err
	}
	redoc, err := viewer("PharmaVida Ingesta · API", []string{"viewer.css"}, "redoc.standalone.js", "redoc.js")
	if err != nil {
		return nil, err
	}
	assets, err := readAssets()
	if err != nil {
		return nil, err
	}
	problems, err := readProblems()
	if err != nil {
		return nil, err
	}
	get := func(path string, handle echo.HandlerFunc) api.Route {
		return api.Route{Method: http.MethodGet, Path: path, Need: api.OpenToAll, Handle: handle}
	}
	return []api.Route{
		get("/openapi.yaml", newFile("application/yaml", always, openapi.YAML()).serve),
		get("/openapi.json", newFile("application/json", always, asJSON).serve),
		get("/asyncapi.yaml", newFile("application/yaml", always, broker.AsyncAPI()).serve),
		get("/docs", secured(viewerPolicy, swagger.serve)),
		get("/redoc", secured(viewerPolicy, redoc.serve)),
		get("/docs/assets/:file", assets.serve),
		get("/problems", secured(textPolicy, problems.index)),
		get("/problems/:code", secured(textPolicy, problems.one)),
	}, nil
}

// viewer returns the page of a program that shows the HTTP contract.
func viewer(title string, styles []string, scripts ...string) (*file, error) {
	page, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("reading the page of a viewer: %w", err)
	}
	var text bytes.Buffer
	err = page.Execute(&text, struct {
		Title           string
		Styles, Scripts []string
	}{title, styles, scripts})
	if err != nil {
		return nil, fmt.Errorf("writing the page of a viewer: %w", err)
	}
	return newFile("text/html; charset=utf-8", always, text.Bytes()), nil
}

// assetStore holds the files that the pages need, by name.
type assetStore map[string]*file

// readAssets reads all but what is not for browsers.
func readAssets() (assetStore, error) {
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("reading assets: %w", err)
	}
	store := assetStore{}
	for _, entry := range entries {
		contents, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("reading asset %s: %w", entry.Name(), err)
		}
		name, compressed := strings.CutSuffix(entry.Name(), ".gz")
		contentType, forBrowsers := contentTypes[path.Ext(name)]
		if !forBrowsers {
			continue
		}
		f := newFile(contentType, forHour, contents)
		if compressed {
			if f, err = newCompressedFile(contentType, forHour, contents); err != nil {
				return nil, fmt.Errorf("reading asset %s: %w", name, err)
			}
		}
		store[name] = f
	}
	return store, nil
}

// contentTypes are those of the assets.
var contentTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".txt": "text/plain; charset=utf-8",
}

func (s assetStore) serve(c echo.Context) error {
	f, ok := s[c.Param("file")]
	if !ok {
		return echo.ErrNotFound
	}
	return f.serve(c)
}
