package ingest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Codes must list what the file declares: whoever explains each of them relies on it.
func TestCodesAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []ingest.Code
	for n := range ast.Preorder(file) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			continue
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Code" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, ingest.Code(value))
		}
	}
	if listed := ingest.Codes(); len(declared) == 0 || !slices.Equal(declared, listed) {
		t.Errorf("Codes lists %v, the file declares %v", listed, declared)
	}
}
