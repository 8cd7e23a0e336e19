// Package openapi holds the HTTP contract of the gateway, an OpenAPI 3.1 document: its routes, who may
// use them, what they take and what they answer. It is the single source of all that. Tests hold the
// routes and the answers of the gateway against it, in both directions.
package openapi

import (
	_ "embed" // for the document
	"encoding/json"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var document string

// YAML returns the document as it is written.
func YAML() []byte { return []byte(document) }

// JSON returns the same document as JSON. The caller must not change it.
func JSON() ([]byte, error) { return converted() }

// converted converts the document the first time it is wanted.
var converted = sync.OnceValues(func() ([]byte, error) {
	var contents any
	if err := yaml.Unmarshal([]byte(document), &contents); err != nil {
		return nil, fmt.Errorf("reading the HTTP contract: %w", err)
	}
	text, err := json.Marshal(contents)
	if err != nil {
		return nil, fmt.Errorf("writing the HTTP contract as JSON: %w", err)
	}
	return text, nil
})
