package mongodb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/extracttest"
)

const salt = "a salt that is long enough"

// declared returns the dataset that the catalog has under rules, which are lines of YAML.
func declared(t *testing.T, collection string, rules ...string) catalog.Dataset {
	t.Helper()
	file := "version: 1\ndatabases:\n  - name: mongodb\n    datasets:\n      - name: r\n        collection: " + collection + "\n        " + strings.Join(rules, "\n        ")
	parsed, err := catalog.Parse("f.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	salted, err := parsed.Salted(salt)
	if err != nil {
		t.Fatal(err)
	}
	db, _ := salted.Database("mongodb")
	return db.Datasets[0]
}

// insert makes a collection with the documents on the local stack's server.
func (s *server) insert(t *testing.T, collection string, docs ...any) {
	t.Helper()
	if _, err := s.admin.Collection(collection).InsertMany(t.Context(), docs); err != nil {
		t.Fatalf("inserting into %s: %v", collection, err)
	}
	t.Cleanup(func() {
		if err := s.admin.Collection(collection).Drop(context.Background()); err != nil {
			t.Errorf("dropping collection %s: %v", collection, err)
		}
	})
}

func TestRulesForRowsAndColumns(t *testing.T) {
	server := newServer(t)
	ids := []bson.ObjectID{{1}, {2}, {3}, {4}, {5}}
	persona := func(i int, dni any, ciudad, creado any) bson.D {
		return bson.D{{Key: "_id", Value: ids[i]}, {Key: "dni", Value: dni}, {Key: "edad", Value: int32(20 + i)},
			{Key: "casa", Value: bson.D{{Key: "ciudad", Value: ciudad}, {Key: "llave", Value: "L"}}}, {Key: "creado", Value: creado}, {Key: "notas", Value: "x"}}
	}
	server.insert(t, "personas",
		persona(0, "12345678", "Lima", millis(2024)), persona(1, nil, "Cusco", millis(2025)), persona(2, "", "Ñaña, Lima", millis(2026)),
		persona(3, "1234", "Tacna", millis(2023)), persona(4, int64(87654321), "Ica", nil))
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(salt + text))
		return hex.EncodeToString(sum[:])
	}
	for _, c := range []struct {
		name  string
		rules []string
		want  string // records, fields by spaces
	}{
		{"order", []string{"columns: [edad]", "order_by: [edad desc]"}, `["24"] ["23"] ["22"] ["21"] ["20"]`},
		{"order by what is not exported, inside of a document", []string{"columns: [edad]", "order_by: [casa.ciudad]"}, `["21"] ["24"] ["20"] ["23"] ["22"]`},
		{"a number", []string{"columns: [edad]", `where: '{"edad": {"$gte": 23}}'`, "order_by: [edad]"}, `["23"] ["24"]`},
		{"a date", []string{"columns: [edad]", `where: '{"creado": {"$lt": {"$date": "2024-06-01T00:00:00Z"}}}'`, "order_by: [edad]"}, `["20"] ["23"]`},
		{"an object id", []string{"columns: [edad]", `where: '{"_id": {"$oid": "030000000000000000000000"}}'`}, `["22"]`},
		{"inside of a document", []string{"columns: [edad]", `where: '{"casa.ciudad": "Ñaña, Lima"}'`}, `["22"]`},
		{"nothing", []string{"columns: [edad]", `where: '{"casa.ciudad": {"$in": []}}'`}, ``},
		{"hash", []string{"columns: [{name: dni, as: documento, mask: hash}]", "order_by: [edad]"},
			fmt.Sprintf(`["%s"] [NULL] ["%s"] ["%s"] ["%s"]`, hash("12345678"), hash(""), hash("1234"), hash("87654321"))},
		{"last4", []string{"columns: [{name: dni, mask: last4}, {name: casa, mask: last4}]", "order_by: [edad]"},
			`["****5678" "****"L"}"] [NULL "****"L"}"] ["****" "****"L"}"] ["****" "****"L"}"] ["****4321" "****"L"}"]`},
		{"redact", []string{"columns: [{name: casa.ciudad, as: ciudad, mask: redact}, edad]", "order_by: [edad]"},
			`["****" "20"] ["****" "21"] ["****" "22"] ["****" "23"] ["****" "24"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			prepared, tally, records := extracttest.Export(t, server.source(t, extracttest.Granted), declared(t, "personas", c.rules...))
			var got []string
			for _, r := range records {
				got = append(got, strings.ReplaceAll(fmt.Sprint(r), `\"`, `"`))
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if tally.Rows != int64(len(records)) {
				t.Errorf("the tally says %d rows of %d", tally.Rows, len(records))
			}
			if filtered := strings.Contains(strings.Join(c.rules, ""), "where"); filtered != (prepared.EstimatedRows == 0) {
				t.Errorf("the estimate is %d rows: it should be unknown with a filter, and else the collection's", prepared.EstimatedRows)
			}
		})
	}

	t.Run("what the manifest says", func(t *testing.T) {
		prepared, tally, _ := extracttest.Export(t, server.source(t, extracttest.Granted),
			declared(t, "personas", "columns: [_id, {name: dni, as: documento, mask: hash}, {name: edad, as: años}]", "exclude: [notas, casa.llave]"))
		want := []ingest.Column{
			{Name: "_id", Type: ingest.TypeObjectID, SourceType: "objectId"},
			{Name: "documento", Source: "dni", Type: ingest.TypeText, SourceType: "string, long", Mask: "hash"},
			{Name: "años", Source: "edad", Type: ingest.TypeInteger, SourceType: "int"},
		}
		if !slices.Equal(tally.Columns, want) {
			t.Errorf("the columns are\n%+v; want\n%+v", tally.Columns, want)
		}
		if want := []ingest.Withheld{{Name: "notas", Rule: "excluded"}, {Name: "casa.llave", Rule: "excluded"}}; !slices.Equal(prepared.Withheld, want) {
			t.Errorf("withheld are %+v; want %+v", prepared.Withheld, want)
		}
		if want := []string{
			`the field "casa.ciudad" is not declared and not exported: 5 documents have it`,
			`the field "creado" is not declared and not exported: 5 documents have it`,
		}; !slices.Equal(tally.Warnings, want) {
			t.Errorf("warnings are %q; want %q", tally.Warnings, want)
		}
	})
}

// TestTheCommandThatIsSent checks what no answer of the stand-in shows.
func TestTheCommandThatIsSent(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []string
		want  string
	}{
		{"plain", nil, `{"filter":{}}`},
		{"filter", []string{`where: '{"a": {"$gt": {"$numberLong": "5"}}}'`}, `{"filter":{"a":{"$gt":{"$numberLong":"5"}}}}`},
		{"order", []string{"order_by: [a.b desc, c]"}, `{"allowDiskUse":true,"filter":{},"sort":{"a.b":{"$numberInt":"-1"},"c":{"$numberInt":"1"}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newReplay(t)
			extracttest.Export(t, s.source(t), declared(t, replayCollection, append(c.rules, "columns: [a]")...))
			if len(s.commands) != 1 {
				t.Fatalf("%d finds were sent; want one", len(s.commands))
			}
			var rules bson.D
			for _, name := range []string{"allowDiskUse", "filter", "sort"} {
				if v, err := s.commands[0].LookupErr(name); err == nil {
					rules = append(rules, bson.E{Key: name, Value: v})
				}
			}
			got, err := bson.MarshalExtJSON(rules, true, false)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("sent %s; want %s", got, c.want)
			}
		})
	}
}

// TestFiltersThatAreRefused checks the second fence: the catalog's own is passed by.
func TestFiltersThatAreRefused(t *testing.T) {
	s := newReplay(t)
	session, err := s.source(t).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(t.Context())
	for _, filter := range []string{
		`{"$where": "sleep(1000)"}`,
		`{"$where": {"$code": "sleep(1000)"}}`,
		`{"a": 1, "$or": [{"b": 1}, {"$expr": {"$gt": [{"$function": {"body": "f", "args": [], "lang": "js"}}, 1]}}]}`,
		`{"$expr": {"$accumulator": {}}}`,
		`{"\u0024where": "1"}`,
		`{"a": `, `[1]`, `"a"`, `{"a": {"$date": "yesterday"}}`,
	} {
		d := dataset("a")
		d.Where = filter
		_, err := session.Prepare(t.Context(), d)
		if !ingest.HasCode(err, ingest.QueryFailed) || ingest.IsTransient(err) {
			t.Errorf("%s: got %v; want a permanent query_failed", filter, err)
		}
	}
	if len(s.commands) > 0 {
		t.Errorf("%d commands were sent", len(s.commands))
	}
}
