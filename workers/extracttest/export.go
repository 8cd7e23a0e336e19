package extracttest

import (
	"context"
	"testing"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/engine"
)

// Export reads a dataset to its end in a session of its own. It is for the tests of what only one
// database has.
func Export(t *testing.T, source engine.Source, d catalog.Dataset) (engine.Extraction, engine.Tally, [][]Field) {
	t.Helper()
	session, err := source.Open(t.Context())
	if err != nil {
		t.Fatalf("opening a session: %v", err)
	}
	defer func() { _ = session.Close(context.Background()) }() // the suite tests Close
	extraction, err := session.Prepare(t.Context(), d)
	if err != nil {
		t.Fatalf("preparing: %v", err)
	}
	var out collector
	tally, err := extraction.Run(t.Context(), &out)
	if err != nil {
		t.Fatalf("running: %v", err)
	}
	records, err := ReadCSV(out.Bytes())
	if err != nil {
		t.Fatalf("reading the file: %v", err)
	}
	return extraction, tally, records
}
