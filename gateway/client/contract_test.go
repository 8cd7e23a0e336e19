package client

import (
	"encoding/json"
	"testing"

	"github.com/pharmavida/ingesta/gateway/openapi"
)

// The bounds of lists are those of the contract.
func TestBoundsAreTheContracts(t *testing.T) {
	document, err := openapi.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Paths map[string]struct {
			Get struct {
				Parameters []struct {
					Name   string
					Schema struct{ Maximum int }
				}
			}
		}
	}
	if err := json.Unmarshal(document, &contract); err != nil {
		t.Fatal(err)
	}
	for path, most := range map[string]int{"/api/ingesta/jobs": MaxPage, "/api/ingesta/dead-letters": MaxDeadLetters} {
		bound := 0
		for _, p := range contract.Paths[path].Get.Parameters {
			if p.Name == "limit" {
				bound = p.Schema.Maximum
			}
		}
		if bound != most {
			t.Errorf("the contract bounds %s at %d, and the client at %d", path, bound, most)
		}
	}
}
