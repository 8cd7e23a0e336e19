package docs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/api"
)

// file is one that never changes while the gateway runs.
type file struct {
	contentType, cache string
	plain              []byte
	compressed         []byte // the same as gzip, or nil
	tag                string // names the contents
}

func newFile(contentType, cache string, plain []byte) *file {
	sum := sha256.Sum256(plain)
	return &file{contentType: contentType, cache: cache, plain: plain, tag: hex.EncodeToString(sum[:16])}
}

// newCompressedFile returns a file that is kept as gzip, and decompressed for the rare client that
// does not take that.
func newCompressedFile(contentType, cache string, compressed []byte) (*file, error) {
	sum := sha256.Sum256(compressed)
	f := &file{contentType: contentType, cache: cache, compressed: compressed, tag: hex.EncodeToString(sum[:16])}
	return f, f.decompress(io.Discard)
}

func (f *file) decompress(w io.Writer) error {
	reader, err := gzip.NewReader(bytes.NewReader(f.compressed))
	if err != nil {
		return fmt.Errorf("decompressing a file: %w", err)
	}
	if _, err := io.Copy(w, reader); err != nil {
		return fmt.Errorf("decompressing a file: %w", err)
	}
	return nil
}

// serve answers with the file, or with 304 to a client that has it. The two forms of a compressed file
// have tags of their own.
func (f *file) serve(c echo.Context) error {
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, f.cache)
	tag, zipped := f.tag, false
	if f.compressed != nil {
		header.Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
		if zipped = api.AcceptsGzip(c.Request().Header); zipped {
			tag += "-gzip"
		}
	}
	if api.Unchanged(c, tag) {
		return c.NoContent(http.StatusNotModified)
	}
	switch {
	case zipped:
		header.Set(echo.HeaderContentEncoding, "gzip")
		return c.Blob(http.StatusOK, f.contentType, f.compressed)
	case f.compressed != nil:
		var plain bytes.Buffer
		if err := f.decompress(&plain); err != nil {
			return err
		}
		return c.Blob(http.StatusOK, f.contentType, plain.Bytes())
	default:
		return c.Blob(http.StatusOK, f.contentType, f.plain)
	}
}
