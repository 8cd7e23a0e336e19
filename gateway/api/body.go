package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/jobs"
)

// maxBody is the largest body that is read.
const maxBody = 1 << 20

// maxFaults bounds how many mistakes of a body one answer names.
const maxFaults = 20

// submission is the body of a request for jobs.
type submission struct {
	Datasets   []string      // nil when the body does not say
	OnConflict jobs.Conflict // empty when the body does not say
}

// readBody returns the body of the request, nil when it is empty, or a *Problem.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.ContentLength > maxBody {
		return nil, fault(bodyTooLarge, "the body may have %d bytes, this one has %d", maxBody, r.ContentLength)
	}
	body, err := io.ReadAll(http.MaxBytesReader(beneath(c.Response()), r.Body, maxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return nil, fault(bodyTooLarge, "the body may have %d bytes, this one has more", maxBody)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fault(bodyTimeout, "the body did not arrive in time")
		}
		p := fault(malformedBody, "the body ended early or its transfer coding is broken")
		p.cause = err
		return nil, p
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if err := checkMediaType(r.Header); err != nil {
		return nil, err
	}
	return body, nil
}

// beneath returns the server's own writer: it alone can be told to close a connection over which more
// comes than is read.
func beneath(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapped, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapped.Unwrap()
	}
}

// readNothing reads the body of a request that takes no field: empty, or an empty object.
func readNothing(c echo.Context) error {
	body, err := readBody(c)
	if err != nil || len(body) == 0 {
		return err
	}
	return decodeObject(body, nil)
}

// checkMediaType returns a *Problem unless the headers allow the body to be JSON in UTF-8. A body
// that says nothing of its type is taken for JSON.
func checkMediaType(header http.Header) error {
	if coding := header.Get(echo.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return fault(unsupportedMediaType, "send the body without a Content-Encoding")
	}
	contentType := header.Get(echo.HeaderContentType)
	if contentType == "" {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || media != echo.MIMEApplicationJSON {
		return fault(unsupportedMediaType, "send the body as Content-Type: application/json, or no body at all")
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fault(unsupportedMediaType, "send the body in UTF-8")
	}
	return nil
}

// The fields of a body that asks for jobs.
const (
	fieldDatasets   = "datasets"
	fieldOnConflict = "on_conflict"
)

// decodeSubmission reads a body strictly, which may have the given fields. Errors are *Problem. An empty
// body asks for everything.
func decodeSubmission(body []byte, fields ...string) (submission, error) {
	var s submission
	if len(body) == 0 {
		return s, nil
	}
	readers := map[string]func(json.RawMessage) []ProblemField{}
	for _, field := range fields {
		switch field {
		case fieldDatasets:
			readers[field] = func(raw json.RawMessage) (faults []ProblemField) {
				s.Datasets, faults = decodeStrings("/"+fieldDatasets, raw)
				return faults
			}
		case fieldOnConflict:
			readers[field] = func(raw json.RawMessage) (faults []ProblemField) {
				s.OnConflict, faults = decodeConflict("/"+fieldOnConflict, raw)
				return faults
			}
		}
	}
	err := decodeObject(body, readers)
	return s, err
}

// decodeObject reads body as one JSON object and hands the value of each name to its reader. It
// is stricter than encoding/json: names are matched exactly, none may be unknown or repeated, the
// text must be UTF-8 and nothing may follow. Its errors are *Problem that say where.
func decodeObject(body []byte, readers map[string]func(json.RawMessage) []ProblemField) error {
	if err := checkJSON(body); err != nil {
		return err
	}
	if kind := kindOf(body); kind != "an object" {
		return faulty(invalidBody, ProblemField{Detail: "must be an object, not " + kind})
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("reading the opening brace: %w", err)
	}
	var faults []ProblemField
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return fmt.Errorf("reading a name: %w", err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("reading a value: %w", err)
		}
		name := fmt.Sprint(token)
		read, known := readers[name]
		switch {
		case !known:
			faults = append(faults, ProblemField{Pointer: pointerTo(name), Detail: "is not a field of this request"})
		case seen[name]:
			faults = append(faults, ProblemField{Pointer: pointerTo(name), Detail: "is given twice"})
		default:
			faults = append(faults, read(raw)...)
		}
		seen[name] = true
		if len(faults) >= maxFaults {
			break
		}
	}
	if len(faults) > 0 {
		return faulty(invalidBody, faults[:min(len(faults), maxFaults)]...)
	}
	return nil
}

// checkJSON returns a *Problem unless body is one well-formed JSON text in UTF-8.
func checkJSON(body []byte) error {
	for rest := body; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			return fault(malformedBody, "%s: the byte 0x%02x is not UTF-8", position(body, len(body)-len(rest)), rest[0])
		}
		rest = rest[size:]
	}
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fault(malformedBody, "%s: %s", position(body, int(syntax.Offset)-1), syntax)
	}
	return err
}

// position names a place in the body for people.
func position(body []byte, offset int) string {
	before := body[:min(max(offset, 0), len(body))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("line %d, column %d", line, column)
}

// decodeConflict reads what is to become of an order when another job does the same work.
func decodeConflict(pointer string, raw json.RawMessage) (jobs.Conflict, []ProblemField) {
	var given jobs.Conflict
	if err := json.Unmarshal(raw, &given); err != nil || !slices.Contains(jobs.Conflicts(), given) {
		return "", []ProblemField{{Pointer: pointer, Detail: fmt.Sprintf("must be one of the strings %v", jobs.Conflicts())}}
	}
	return given, nil
}

// decodeStrings reads a list of strings.
func decodeStrings(pointer string, raw json.RawMessage) ([]string, []ProblemField) {
	if kind := kindOf(raw); kind != "a list" {
		return nil, []ProblemField{{Pointer: pointer, Detail: "must be a list of strings, not " + kind}}
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, []ProblemField{{Pointer: pointer, Detail: "cannot be read"}}
	}
	out := make([]string, len(elements))
	var faults []ProblemField
	for i, element := range elements {
		at := pointer + "/" + strconv.Itoa(i)
		if kind := kindOf(element); kind != "a string" {
			faults = append(faults, ProblemField{Pointer: at, Detail: "must be a string, not " + kind})
		} else if err := json.Unmarshal(element, &out[i]); err != nil {
			faults = append(faults, ProblemField{Pointer: at, Detail: "cannot be read"})
		}
		if len(faults) == maxFaults {
			break
		}
	}
	return out, faults
}

// kindOf names the kind of a well-formed JSON value.
func kindOf(raw []byte) string {
	switch raw = bytes.TrimLeft(raw, " \t\r\n"); raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// pointerTo returns the JSON pointer of a name at the top of the body, cut to a length that fits
// an answer.
func pointerTo(name string) string {
	const most = 64
	if runes := []rune(name); len(runes) > most {
		name = string(runes[:most]) + "…"
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
