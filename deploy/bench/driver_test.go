package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestTheDriverReferenceReadsEveryDocument(t *testing.T) {
	d := dataset{Table: "recetas", Rows: 321}
	server := replayed(t, d)
	var said strings.Builder
	err := runDriverReference(t.Context(), []string{fmt.Sprintf("mongodb://127.0.0.1:%d/", server.Port()), "d", "recetas", "_id"}, &said)
	if err != nil || said.String() != fmt.Sprintf("%d\n", d.Rows) {
		t.Errorf("it says %q, %v; want %d documents", said.String(), err, d.Rows)
	}
}

func TestDriverText(t *testing.T) {
	id, err := bson.ObjectIDFromHex("65a1b2c3d4e5f60718293a4b")
	if err != nil {
		t.Fatal(err)
	}
	for want, value := range map[string]any{
		"":                                 nil,
		"ñ":                                "ñ",
		"65a1b2c3d4e5f60718293a4b":         id,
		"2025-01-02 03:04:05.067+00":       bson.NewDateTimeFromTime(time.Date(2025, 1, 2, 3, 4, 5, 67e6, time.UTC)),
		"true":                             true,
		"-7":                               int32(-7),
		"9007199254740993":                 int64(9007199254740993),
		"0.1":                              0.1,
		`[{"id":3,"nombre":"Ibuprofeno"}]`: bson.A{bson.D{{Key: "id", Value: int32(3)}, {Key: "nombre", Value: "Ibuprofeno"}}},
	} {
		if got, err := driverText(value); err != nil || got != want {
			t.Errorf("%v is written as %q, %v; want %q", value, got, err, want)
		}
	}
}
