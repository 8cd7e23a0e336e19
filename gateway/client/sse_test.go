package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// eventsOf reads a whole stream.
func eventsOf(t testing.TB, r io.Reader) (said []string, s *stream) {
	t.Helper()
	s = newStream(r, func() {})
	for {
		e, err := s.next()
		if errors.Is(err, io.EOF) {
			return said, s
		}
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, fmt.Sprintf("%s %q #%s", e.name, e.data, s.lastID))
	}
}

func TestStream(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"one", "event: job\nid: 7\ndata: {}\n\n", `job "{}" #7`},
		{"carriage returns", "event: job\r\nid: 7\r\ndata: {}\r\n\r\n", `job "{}" #7`},
		{"no space after the colon", "event:job\ndata:{}\n\n", `job "{}" #`},
		{"one space is not part of the value", "data:  x\n\n", ` " x" #`},
		{"several lines", "data: a\ndata: b\ndata\n\n", ` "a\nb\n" #`},
		{"comments", ": heartbeat\n\n: heartbeat\nevent: job\n: heartbeat\ndata: x\n\n", `job "x" #`},
		{"the id stays", "id: 7\ndata: a\n\ndata: b\n\n", ` "a" #7| "b" #7`},
		{"an id alone", "id: 7\n\ndata: a\n\n", ` "a" #7`},
		{"an empty id takes the last one away", "id: 7\ndata: a\n\nid\ndata: b\n\n", ` "a" #7| "b" #`},
		{"an event without data is none", "event: job\n\ndata: x\n\n", ` "x" #`},
		{"cut off", "data: a\n\nid: 8\ndata: b\n", ` "a" #`},
		{"unknown fields", "sort: x\ndata: a\n\n", ` "a" #`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text))} {
				if said, _ := eventsOf(t, r); strings.Join(said, "|") != tt.want {
					t.Errorf("got  %s\nwant %s", strings.Join(said, "|"), tt.want)
				}
			}
		})
	}
	if _, s := eventsOf(t, strings.NewReader("retry: 1500\n\nretry: soon\n\nretry: -1\n\n")); s.retry != 1500*time.Millisecond {
		t.Errorf("the pause is %s, want 1.5s", s.retry)
	}
	long := strings.Repeat("x", 1<<20)
	if said, _ := eventsOf(t, strings.NewReader("data: "+long+"\n\n")); len(said) != 1 || !strings.Contains(said[0], long) {
		t.Error("a line of a mebibyte was not read")
	}
	endless := newStream(io.MultiReader(strings.NewReader("data: "), endlessly('x')), func() {})
	if _, err := endless.next(); !errors.Is(err, errEventTooLarge) {
		t.Errorf("a line without an end: %v", err)
	}
}

// endlessly is a reader of one byte for ever.
type endlessly byte

func (e endlessly) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// However a stream is cut into pieces, and whatever it says, reading it ends and tells the same.
func FuzzStream(f *testing.F) {
	f.Add("retry: 2000\n\nevent: job\nid: 7\ndata: {\ndata: }\n\n: heartbeat\n\nevent: end\ndata: 7\n\n")
	f.Add("data\r\n\r\nid: \x00\n\n:\n\n\r\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		whole, _ := eventsOf(t, strings.NewReader(text))
		pieces, _ := eventsOf(t, iotest.OneByteReader(strings.NewReader(text)))
		if strings.Join(whole, "|") != strings.Join(pieces, "|") {
			t.Errorf("whole:  %q\npieces: %q", whole, pieces)
		}
	})
}
