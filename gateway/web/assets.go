package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed assets
var assetFiles embed.FS

// assets are the files beside the pages. Each is served under a name that holds its hash, so that
// browsers keep it for good and a new version is another file to them.
type assets struct {
	files map[string]asset  // by the name they are served under
	names map[string]string // those names, by the plain ones
}

type asset struct {
	content   []byte
	mediaType string
}

func readAssets() (assets, error) {
	a := assets{files: map[string]asset{}, names: map[string]string{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return a, err
	}
	for _, entry := range entries {
		name := entry.Name()
		content, err := fs.ReadFile(assetFiles, path.Join("assets", name))
		if err != nil {
			return a, err
		}
		ext := path.Ext(name)
		mediaType := mediaTypes[ext]
		if mediaType == "" {
			return a, fmt.Errorf("nobody knows the media type of %s", name)
		}
		sum := sha256.Sum256(content)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.files[hashed], a.names[name] = asset{content: content, mediaType: mediaType}, hashed
	}
	return a, nil
}

// mediaTypes are told here, because those of the machine differ.
var mediaTypes = map[string]string{
	".css": mime.FormatMediaType("text/css", map[string]string{"charset": "utf-8"}),
	".js":  mime.FormatMediaType("text/javascript", map[string]string{"charset": "utf-8"}),
	".svg": "image/svg+xml",
}

// path returns where the file of the plain name is served.
func (a assets) path(name string) (string, error) {
	hashed, ok := a.names[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return "/assets/" + hashed, nil
}

// serve answers GET /assets/{name}.
func (a assets) serve(c echo.Context) error {
	file, ok := a.files[c.Param("name")]
	if !ok {
		return echo.ErrNotFound
	}
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	header.Set(echo.HeaderContentSecurityPolicy, policy) // an image opened by itself is a page too
	return c.Blob(http.StatusOK, file.mediaType, file.content)
}
