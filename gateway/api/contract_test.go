package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/gateway/api"
	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/docs"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/gateway/openapi"
)

// contract is what these tests read of the HTTP contract.
type contract struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas    map[string]schema
		Responses  map[string]response
		Parameters map[string]parameter
	}
}

type operation struct {
	OperationID string
	Security    *[]map[string][]string
	Parameters  []parameter
	Responses   map[string]response
}

type parameter struct {
	Ref      string `json:"$ref"`
	Name     string
	Required bool
	Example  json.RawMessage
}

type response struct {
	Ref     string `json:"$ref"`
	Content map[string]struct{ Schema schema }
}

type schema struct {
	Ref        string `json:"$ref"`
	Enum       []string
	AllOf      []schema
	Properties map[string]schema
}

func readContract(t *testing.T) (c contract) {
	t.Helper()
	document, err := openapi.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Paths      map[string]map[string]json.RawMessage
		Components json.RawMessage
	}
	if err := json.Unmarshal(document, &raw); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw.Components, &c.Components); err != nil {
		t.Fatal(err)
	}
	c.Paths = map[string]map[string]operation{}
	for path, item := range raw.Paths {
		c.Paths[path] = map[string]operation{}
		for method, described := range item {
			var op operation
			if err := json.Unmarshal(described, &op); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			c.Paths[path][strings.ToUpper(method)] = op
		}
	}
	return c
}

// operations returns every operation by method and path in Echo's form: "GET /jobs/:id".
func (c contract) operations() map[string]operation {
	all := map[string]operation{}
	for path, item := range c.Paths {
		for method, op := range item {
			all[method+" "+strings.NewReplacer("{", ":", "}", "").Replace(path)] = op
		}
	}
	return all
}

// codes returns the codes of problems that the response declares.
func (c contract) codes(r response) []string {
	if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
		r = c.Components.Responses[name]
	}
	var codes []string
	for _, part := range r.Content["application/problem+json"].Schema.AllOf {
		codes = append(codes, part.Properties["code"].Enum...)
	}
	return codes
}

func documentedAPI(t *testing.T) *api.API {
	t.Helper()
	documents, err := docs.Routes()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := newGuardedAPI(t, &fakeJobs{}, api.Config{}, auth.Config{}, documents...)
	return a
}

// Every route stands in the contract, with the scope it needs, and every operation of the contract has
// its route.
func TestRoutesAndContractAgree(t *testing.T) {
	a, operations := documentedAPI(t), readContract(t).operations()
	served := map[string]bool{}
	for _, route := range a.Routes() {
		served[route] = true
	}
	for route := range served {
		method, path, _ := strings.Cut(route, " ")
		if method == http.MethodHead && served[http.MethodGet+" "+path] {
			continue // the contract says so of every GET
		}
		op, documented := operations[route]
		if !documented {
			t.Errorf("the gateway serves %s, of which the contract says nothing", route)
			continue
		}
		if method == http.MethodGet && !served[http.MethodHead+" "+path] {
			t.Errorf("%s is not served as HEAD, as the contract says of every GET", route)
		}
		need, _ := a.Needs(route)
		if op.Security == nil {
			t.Errorf("the contract does not say who may use %s", route)
			continue
		}
		var bearer []string
		open, cookie := len(*op.Security) == 0, false
		for _, way := range *op.Security {
			open = open || len(way) == 0
			bearer = append(bearer, way["bearer"]...)
			if _, ok := way["cookie"]; ok {
				cookie = true
			}
		}
		switch {
		case need == "" && !open:
			t.Errorf("%s is open to all; the contract asks for %v", route, *op.Security)
		case need != "" && (!slices.Equal(bearer, []string{need}) || !cookie):
			t.Errorf("%s needs %s, by token or cookie; the contract asks for %v", route, need, *op.Security)
		}
	}
	for route := range operations {
		if !served[route] {
			t.Errorf("%s stands in the contract and is not served", route)
		}
	}
}

// The codes of problems are those of the contract, and wherever it names one, it does so under the
// status that the code has.
func TestProblemsAndContractAgree(t *testing.T) {
	c, statuses := readContract(t), api.Statuses()
	listed := c.Components.Schemas["ProblemCode"].Enum
	for code := range statuses {
		if !slices.Contains(listed, string(code)) {
			t.Errorf("the gateway answers with problem %s, of which the contract says nothing", code)
		}
	}
	for _, code := range listed {
		if _, exists := statuses[jobs.Code(code)]; !exists {
			t.Errorf("problem %s stands in the contract and does not exist", code)
		}
	}
	declared := map[string]bool{
		"not_found": true, "method_not_allowed": true, // of what is no operation
		"client_gone": true, // nobody receives it
	}
	for route, op := range c.operations() {
		for status, r := range op.Responses {
			codes := c.codes(r)
			if page := r.Ref == "#/components/responses/RefusedPage"; status >= "400" && len(codes) == 0 && !page {
				t.Errorf("%s: the contract names no code for status %s", route, status)
			}
			for _, code := range codes {
				declared[code] = true
				if want, exists := statuses[jobs.Code(code)]; exists && strconv.Itoa(want) != status {
					t.Errorf("%s: the contract names problem %s under status %s, it has %d", route, code, status, want)
				}
			}
		}
	}
	for _, code := range listed {
		if !declared[code] {
			t.Errorf("no operation of the contract can answer with problem %s", code)
		}
	}
}

// Names of operations are how generated clients call them.
func TestOperationsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for route, op := range readContract(t).operations() {
		if op.OperationID == "" || names[op.OperationID] {
			t.Errorf("the name %q of %s is empty or taken; there are %v", op.OperationID, route, slices.Sorted(maps.Keys(names)))
		}
		names[op.OperationID] = true
	}
}

// Swagger UI sends examples unasked. What narrows a list, or names something of another request, would give an
// answer that nobody expects: an empty page, an old job, a refusal.
func TestExamplesAreFitToBeSent(t *testing.T) {
	fit := []string{"Accept-Language", "Prefer", "dialect", "limit"}
	c := readContract(t)
	all := slices.Collect(maps.Values(c.Components.Parameters))
	for _, op := range c.operations() {
		all = append(all, op.Parameters...)
	}
	for _, p := range all {
		if !p.Required && p.Example != nil && !slices.Contains(fit, p.Name) {
			t.Errorf("the optional parameter %s has the example %s, which Swagger UI sends", p.Name, p.Example)
		}
	}
}
