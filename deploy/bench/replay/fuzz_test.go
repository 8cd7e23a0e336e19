package replay

import (
	"bytes"
	"testing"
)

func FuzzReadRequest(f *testing.F) {
	ping := []byte{16, 0, 0, 0, 0x10, 'p', 'i', 'n', 'g', 0, 1, 0, 0, 0, 0, 0}
	ping[0] = byte(len(ping))
	message := append([]byte{byte(headerSize + 5 + len(ping)), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0, 0, 0, 0, 0, 0}, ping...)
	f.Add(message)
	f.Add(message[:headerSize])
	f.Fuzz(func(t *testing.T, data []byte) {
		s := Server{collection: &Collection{Name: "recetas"}, cursors: map[int64]int{}}
		r, _, err := readRequest(bytes.NewReader(data), nil)
		if err != nil {
			return
		}
		answer, err := s.answer(r.command)
		if err != nil {
			answer = refusal(err)
		}
		var sent bytes.Buffer
		if err := writeAnswer(&sent, r, answer...); err != nil {
			t.Fatalf("answering %v: %v", r.command, err)
		}
		if said := int(le.Uint32(sent.Bytes())); said != sent.Len() {
			t.Fatalf("the answer to %v says that it has %d bytes, and has %d", r.command, said, sent.Len())
		}
	})
}
