package api

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// worthCompressing is the size of an answer, in bytes, from which compression pays for itself.
const worthCompressing = 1 << 10

// compress sends answers of text in gzip to those who accept it. Streams are not among them: a stream
// waits for nothing, and a compressor waits for more.
func (a *API) compress(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		response := c.Response()
		response.Before(func() {
			if response.Status == http.StatusNotModified || compressible(response.Header(), response.Status) {
				response.Header().Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
			}
		})
		if !AcceptsGzip(c.Request().Header) {
			return next(c)
		}
		w := &compressor{ResponseWriter: response.Writer, bodiless: c.Request().Method == http.MethodHead}
		response.Writer = w
		if err := next(c); err != nil {
			return err
		}
		return w.close()
	}
}

// compressor decides at the first write, or when an answer has grown enough, in what coding it goes out.
type compressor struct {
	http.ResponseWriter
	bodiless bool

	status int    // 0 until there is one
	held   []byte // the beginning of an answer that may turn out too short to compress
	sent   bool   // the header is out
	zip    *gzip.Writer
}

// WriteHeader keeps the status until the coding is decided. Informational ones pass.
func (w *compressor) WriteHeader(status int) {
	switch {
	case status < http.StatusOK:
		w.ResponseWriter.WriteHeader(status)
	case w.status == 0:
		w.status = status
		if status == http.StatusNotModified {
			weaken(w.Header()) // it speaks of the answer that the client has, which may have been compressed
		}
		if w.bodiless || !compressible(w.Header(), status) {
			w.begin()
		}
	}
}

// begin sends the header.
func (w *compressor) begin() {
	w.sent = true
	w.ResponseWriter.WriteHeader(w.status)
}

func (w *compressor) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.zip != nil:
		return w.zip.Write(p)
	case w.sent:
		return w.ResponseWriter.Write(p)
	case len(w.held)+len(p) < worthCompressing:
		w.held = append(w.held, p...)
		return len(p), nil
	}
	header := w.Header()
	header.Set(echo.HeaderContentEncoding, "gzip")
	header.Del(echo.HeaderContentLength)
	header.Del("Accept-Ranges") // ranges would be those of another coding
	weaken(header)
	w.begin()
	w.zip, _ = compressors.Get().(*gzip.Writer)
	w.zip.Reset(w.ResponseWriter)
	if _, err := w.zip.Write(w.held); err != nil {
		return 0, err
	}
	w.held = nil
	return w.zip.Write(p)
}

// FlushError sends what there is so far. An answer that is flushed before it was worth compressing is
// sent as it is.
func (w *compressor) FlushError() error {
	if w.zip != nil {
		if err := w.zip.Flush(); err != nil {
			return err
		}
	} else if err := w.release(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// release sends what is held back, as it is.
func (w *compressor) release() error {
	if w.status == 0 || w.sent {
		return nil
	}
	w.begin()
	held := w.held
	w.held = nil
	_, err := w.ResponseWriter.Write(held)
	return err
}

// close ends the answer.
func (w *compressor) close() error {
	if w.zip == nil {
		return w.release()
	}
	err := w.zip.Close()
	compressors.Put(w.zip)
	w.zip = nil
	if err != nil {
		return fmt.Errorf("compressing an answer: %w", err)
	}
	return nil
}

// Unwrap returns the writer beneath, for http.ResponseController.
func (w *compressor) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// compressors are in use by one answer each. Their tables are large, and made once.
var compressors = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	return w
}}

// texts are the media types that compression makes shorter.
var texts = []string{
	echo.MIMEApplicationJSON, "application/problem+json", "application/yaml", "application/sql", "application/javascript",
	"text/html", "text/plain", "text/css", "text/javascript", "image/svg+xml",
}

// compressible reports whether an answer is one of text that has no coding yet.
func compressible(header http.Header, status int) bool {
	switch status {
	case http.StatusNoContent, http.StatusPartialContent, http.StatusNotModified:
		return false
	}
	if header.Get(echo.HeaderContentEncoding) != "" {
		return false
	}
	if length, err := strconv.Atoi(header.Get(echo.HeaderContentLength)); err == nil && length < worthCompressing {
		return false
	}
	media, _, _ := strings.Cut(header.Get(echo.HeaderContentType), ";")
	return slices.Contains(texts, media)
}

// AcceptsGzip reads Accept-Encoding: gzip must be named, or anything be accepted, and with a weight that
// is not zero.
func AcceptsGzip(header http.Header) bool {
	accepted := false
	for _, value := range header.Values(echo.HeaderAcceptEncoding) {
		for element := range strings.SplitSeq(value, ",") {
			coding, parameters, _ := strings.Cut(element, ";")
			coding = strings.ToLower(strings.TrimSpace(coding))
			if coding != "gzip" && coding != "x-gzip" && coding != "*" {
				continue
			}
			weight := 1.0
			if name, q, ok := strings.Cut(parameters, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
				var err error
				if weight, err = strconv.ParseFloat(strings.TrimSpace(q), 64); err != nil {
					weight = 0
				}
			}
			if coding != "*" {
				return weight > 0
			}
			accepted = weight > 0
		}
	}
	return accepted
}
