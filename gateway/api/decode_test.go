package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParsePrefer(t *testing.T) {
	tests := []struct {
		values []string
		want   preference
	}{
		{nil, preference{}},
		{[]string{""}, preference{}},
		{[]string{"wait=10"}, preference{wait: 10 * time.Second, waits: true}},
		{[]string{"Wait = 10"}, preference{wait: 10 * time.Second, waits: true}},
		{[]string{`wait="10"`}, preference{wait: 10 * time.Second, waits: true}},
		{[]string{"respond-async"}, preference{respondAsync: true}},
		{[]string{"respond-async, wait=100"}, preference{wait: 100 * time.Second, waits: true, respondAsync: true}},
		{[]string{"respond-async", "wait=100"}, preference{wait: 100 * time.Second, waits: true, respondAsync: true}},
		{[]string{"wait=1, wait=2"}, preference{wait: time.Second, waits: true}},
		{[]string{"wait=5; foo=bar; baz"}, preference{wait: 5 * time.Second, waits: true}},
		{[]string{`return=minimal; x="a, wait=9", wait=3`}, preference{wait: 3 * time.Second, waits: true}},
		{[]string{`x="a\", wait=9", wait=3`}, preference{wait: 3 * time.Second, waits: true}},
		{[]string{"wait=-1"}, preference{}},
		{[]string{"wait=1.5"}, preference{}},
		{[]string{"wait"}, preference{}},
		{[]string{"wait="}, preference{}},
		{[]string{"handling=lenient"}, preference{}},
		{[]string{`x="unterminated, wait=9`}, preference{}},
		{[]string{"wait=99999999999999999999999"}, preference{wait: maxPreferredSeconds * time.Second, waits: true}},
	}
	for _, tt := range tests {
		if got := parsePrefer(tt.values); got != tt.want {
			t.Errorf("parsePrefer(%q) = %+v, want %+v", tt.values, got, tt.want)
		}
	}
}

func FuzzParsePrefer(f *testing.F) {
	for _, seed := range []string{"wait=10", `respond-async, wait="3"; a=b`, `x="\`, ",;=,", `"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p := parsePrefer([]string{value})
		if p.wait < 0 || (!p.waits && p.wait != 0) {
			t.Errorf("parsePrefer(%q) = %+v: a wait is never negative, nor there without being given", value, p)
		}
	})
}

func FuzzDecodeSubmission(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"datasets":["users","compras"]}`, `{"datasets":[]}`, `{"datasets":null}`, `{"a":{"b":[1,2,{}]}}`, `[`, "{\"datasets\":[\"\xff\"]}", `{"datasets":["\ud800"]}`, `{"datasets":["a"]}x`, `{"datasets":[],"datasets":[]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeSubmission(body, fieldDatasets, fieldOnConflict)
		if err != nil {
			told, ok := errors.AsType[*Problem](err)
			if !ok {
				t.Fatalf("%q is refused with %v, which is no problem", body, err)
			}
			status := classes[told.Code].status
			if status != http.StatusBadRequest {
				t.Fatalf("%q is refused with status %d", body, status)
			}
			if len(told.Errors) > maxFaults || !utf8.ValidString(told.Detail) {
				t.Fatalf("%q is refused with an answer out of bounds: %+v", body, told)
			}
			return
		}
		// What is accepted means the same to encoding/json.
		if len(body) == 0 {
			return
		}
		var same struct {
			Datasets []string `json:"datasets"`
		}
		if err := json.Unmarshal(body, &same); err != nil {
			t.Fatalf("%q was accepted, though it is not JSON: %v", body, err)
		}
		if len(same.Datasets) != len(got.Datasets) {
			t.Fatalf("%q was read as %q, encoding/json reads %q", body, got.Datasets, same.Datasets)
		}
		for i := range same.Datasets {
			if same.Datasets[i] != got.Datasets[i] {
				t.Fatalf("%q was read as %q, encoding/json reads %q", body, got.Datasets, same.Datasets)
			}
		}
	})
}

func TestValidTraceparent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	tests := map[string]bool{
		good: true,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later": true,
		"": false, good + "-x": false, good[1:]: false, "ff" + good[2:]: false,
		"01" + good[2:] + "x": false,
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":       false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":       false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":       false,
		"00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01":       false,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-a\r\n": false,
	}
	for value, want := range tests {
		if got := validTraceparent(value); got != want {
			t.Errorf("validTraceparent(%q) = %v, want %v", value, got, want)
		}
	}
}
