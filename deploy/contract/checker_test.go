package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	validation "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/paths"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"go.yaml.in/yaml/v3"

	"github.com/pharmavida/ingesta/gateway/openapi"
)

// checker is a transport that holds every exchange against the HTTP contract, and keeps account of the
// parts of the contract that it has seen.
type checker struct {
	next      http.RoundTripper
	document  *v3.Document
	options   *config.ValidationOptions
	validator validator.Validator

	mu     sync.Mutex
	seen   map[string]bool // "getJob 200", "listJobs limit", "ingestDatabase body"
	faults []string
}

func newChecker(t testing.TB, next http.RoundTripper) *checker {
	t.Helper()
	document, err := libopenapi.NewDocument(withoutMaps(t, openapi.YAML()))
	if err != nil {
		t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	v, problems := validator.NewValidator(document,
		config.WithFormatAssertions(),
		config.WithStrictMode(), // what the contract does not name is a fault too
		config.WithStrictIgnorePaths("$.body.info.**", "$.body.servers[*].**", "$.body.tags[*].**", "$.body.security[*].**", "$.body.components.**", "$.body.paths.**",
			"$.body.paths['/openapi.yaml']", "$.body.paths['/openapi.json']", "$.body.paths['/asyncapi.yaml']"), // of the contract itself
		config.WithRejectUndeclaredRequestBody(),
		config.WithoutSecurityValidation(), // those that lack a token are part of the test
		config.WithStrictIgnoredHeaders(ofHTTP...))
	if len(problems) > 0 {
		t.Fatal(errors.Join(problems...))
	}
	if good, faults := v.ValidateDocument(); !good {
		t.Fatalf("the contract is no OpenAPI document: %s", told(faults))
	}
	return &checker{next: next, document: &model.Model, options: config.NewValidationOptions(), validator: v, seen: map[string]bool{}}
}

// withoutMaps writes each object of free names and one form of values as one whose names follow a
// pattern that all do. The strict mode takes the first for names that nobody declared.
func withoutMaps(t testing.TB, document []byte) []byte {
	t.Helper()
	var contents any
	if err := yaml.Unmarshal(document, &contents); err != nil {
		t.Fatal(err)
	}
	var rewrite func(any)
	rewrite = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if values, given := node["additionalProperties"]; given && values != false {
				delete(node, "additionalProperties")
				node["patternProperties"] = map[string]any{"": values}
			}
			for _, child := range node {
				rewrite(child)
			}
		case []any:
			for _, child := range node {
				rewrite(child)
			}
		}
	}
	rewrite(contents)
	rewritten, err := yaml.Marshal(contents)
	if err != nil {
		t.Fatal(err)
	}
	return rewritten
}

// ofHTTP are headers that a contract need not name: every server and client has them.
var ofHTTP = []string{
	"accept", "accept-encoding", "accept-language", "authorization", "connection", "content-length", "content-type", "cookie", "host", "origin",
	"sec-fetch-site", "user-agent", // of requests
	"allow", "cache-control", "content-encoding", "date", "transfer-encoding", "vary", // of answers
	"content-security-policy", "cross-origin-opener-policy", "referrer-policy", "x-content-type-options", "x-accel-buffering", // of pages and streams
	"x-request-id", // both, and named by the contract in all operations
}

// RoundTrip sends the request and checks the exchange. A stream is handed on as it comes; its events are
// checked when its body is closed.
func (c *checker) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := drain(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(sent))
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	streams := strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream")
	var got []byte
	if !streams {
		if got, err = drain(response.Body); err != nil {
			return nil, err
		}
		response.Body = io.NopCloser(bytes.NewReader(got))
	}
	c.check(r, sent, response, got)
	if streams {
		what := r.Method + " " + r.URL.Path
		response.Body = &listener{ReadCloser: response.Body, check: func(events string) { c.checkEvents(what, events) }}
	}
	return response, nil
}

func drain(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	defer body.Close()
	return io.ReadAll(body)
}

// check compares one exchange with the contract.
func (c *checker) check(r *http.Request, sent []byte, response *http.Response, got []byte) {
	item, _, _ := paths.FindPath(r, c.document, c.options)
	what := r.Method + " " + r.URL.Path
	var operation *v3.Operation
	if item != nil {
		operation = item.GetOperations().GetOrZero(strings.ToLower(r.Method))
	}
	if operation == nil || response.StatusCode == http.StatusMethodNotAllowed {
		if response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusMethodNotAllowed {
			c.fault("%s is answered with %s, and the contract does not have it", what, response.Status)
		}
		return
	}
	note := func(part string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen[operation.OperationId+" "+part] = true
	}
	note(fmt.Sprint(response.StatusCode))

	asked := r.Clone(r.Context())
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	answer := *response
	answer.Body = io.NopCloser(bytes.NewReader(got))
	if good, faults := c.validator.ValidateHttpResponse(asked, &answer); !good {
		c.fault("%s (%s): the answer %s is not as the contract says: %s\nthe answer: %s", what, operation.OperationId, response.Status, told(faults), got[:min(len(got), 2000)])
	}
	if len(got) > 0 {
		media, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
		if r := operation.Responses.Codes.GetOrZero(fmt.Sprint(response.StatusCode)); r != nil && r.Content.GetOrZero(media) == nil {
			c.fault("%s (%s): the answer %s is %q, which the contract does not name", what, operation.OperationId, response.Status, media)
		}
	}
	if response.StatusCode >= http.StatusBadRequest {
		return // what was refused may have been wrong in every way, and proves nothing
	}
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	if good, faults := c.validator.ValidateHttpRequest(asked); !good {
		c.fault("%s (%s): a request that the contract does not allow is answered with %s: %s", what, operation.OperationId, response.Status, told(faults))
	}
	if len(sent) > 0 {
		note("body")
	}
	for _, p := range append(slices.Clone(item.Parameters), operation.Parameters...) {
		switch p.In {
		case "path":
			note(p.Name)
		case "query":
			if r.URL.Query().Has(p.Name) {
				note(p.Name)
			}
		case "header":
			if r.Header.Get(p.Name) != "" {
				note(p.Name)
			}
		}
	}
}

func (c *checker) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// told writes the validator's findings.
func told(faults []*validation.ValidationError) string {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintf(&b, "%s: %s", f.Message, f.Reason)
		for _, s := range f.SchemaValidationErrors {
			fmt.Fprintf(&b, "; %s %s", s.FieldPath, s.Reason)
		}
		b.WriteString(". ")
	}
	return b.String()
}

// parts lists all that the contract names: each status, parameter and body of each operation.
func (c *checker) parts() []string {
	var all []string
	for _, item := range c.document.Paths.PathItems.FromOldest() {
		for _, operation := range item.GetOperations().FromOldest() {
			name := operation.OperationId
			for status := range operation.Responses.Codes.FromOldest() {
				all = append(all, name+" "+status)
			}
			for _, p := range append(slices.Clone(item.Parameters), operation.Parameters...) {
				all = append(all, name+" "+p.Name)
			}
			if operation.RequestBody != nil {
				all = append(all, name+" body")
			}
		}
	}
	return all
}

// report fails the test for every fault, and for every part of the contract that was never seen and
// is not excused; also for an excuse that is not needed. An excuse names an operation ("getJob"), a part
// of one ("getJob 429"), or a part of all ("500").
func (c *checker) report(t testing.TB, excused map[string]string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fault := range c.faults {
		t.Error(fault)
	}
	needed := map[string]bool{}
	for _, part := range c.parts() {
		operation, of, _ := strings.Cut(part, " ")
		switch {
		case c.seen[part]:
		case excused[operation] != "":
			needed[operation] = true
		case excused[part] != "":
			needed[part] = true
		case excused[of] != "":
			needed[of] = true
		default:
			t.Errorf("the contract has %q, which was never seen", part)
		}
	}
	for _, excuse := range slices.Sorted(maps.Keys(excused)) {
		if !needed[excuse] {
			t.Errorf("%q is excused (%s), which is not needed", excuse, excused[excuse])
		}
	}
}
