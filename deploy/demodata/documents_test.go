package main

import (
	"bytes"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestDocumentsAreTheSameEveryTime(t *testing.T) {
	for i := range 100 {
		one, err := bson.Marshal(receta(i, 150))
		if err != nil {
			t.Fatal(err)
		}
		other, err := bson.Marshal(receta(i, 150))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, other) {
			t.Fatalf("receta %d differs from itself", i)
		}
	}
}

// The default load must show what an export has to cope with.
func TestDocumentsHoldTheHardCases(t *testing.T) {
	ids := map[bson.ObjectID]bool{}
	found := map[string]bool{}
	note := func(doc bson.D, optional string) {
		seen := false
		for _, e := range doc {
			switch {
			case e.Key == optional && e.Value == nil:
				found[optional+" null"] = true
			case e.Key == optional:
				found[optional+" set"] = true
			}
			seen = seen || e.Key == optional
		}
		if !seen {
			found[optional+" missing"] = true
		}
		id := doc[0].Value.(bson.ObjectID)
		if ids[id] {
			t.Fatalf("id %s is there twice", id.Hex())
		}
		ids[id] = true
		text, err := bson.MarshalExtJSON(doc, false, false)
		if err != nil {
			t.Fatal(err)
		}
		for name, part := range map[string]string{"comma": ", ", "quote": `\"`, "newline": `\n`, "accent": "é", "eñe": "ñ",
			"4-byte letter": "🍊", "no product": `"productos":[]`} {
			if strings.Contains(string(text), part) {
				found[name] = true
			}
		}
	}
	for i := 1; i <= 150; i++ {
		note(medico(i), "updatedAt")
		note(medico(i+1000), "especialidad")
	}
	for i := 1; i <= 450; i++ {
		note(receta(i, 150), "archivoPDF")
	}
	for _, want := range []string{"comma", "quote", "newline", "accent", "eñe", "4-byte letter", "no product",
		"updatedAt set", "updatedAt missing", "especialidad set", "especialidad null",
		"archivoPDF set", "archivoPDF null", "archivoPDF missing"} {
		if !found[want] {
			t.Errorf("no document shows: %s", want)
		}
	}
}
