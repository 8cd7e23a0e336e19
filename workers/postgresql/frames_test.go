package postgresql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// FuzzFrames sends messages in pieces, with errors that pass in between, and checks that the driver
// gets all of them: rows as they are or merged, everything else as it was. Each byte of script is a
// message: a row or not, and its size. Each byte of cuts is the size of what arrives at once.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{1, 1, 1, 200, 3, 0, 255, 7}, []byte{3, 1, 250, 0})
	f.Add([]byte{255, 1, 255, 254}, []byte{255})
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, script, cuts []byte) {
		var wire, rows, others []byte
		ends := map[int]bool{0: true} // of the rows
		var count, blank int64
		for i, b := range script {
			size := int(b) / 2
			if b == 255 {
				size = framesBuffer - headerSize + i%3 - 1
			}
			payload := bytes.Repeat([]byte{byte('a' + i%26)}, size)
			kind := byte(copyData)
			if b%2 == 0 {
				kind = 'N' // a notice
			}
			wire = append(wire, kind)
			wire = binary.BigEndian.AppendUint32(wire, uint32(4+size))
			wire = append(wire, payload...)
			if kind == copyData {
				rows = append(rows, payload...)
				ends[len(rows)] = true
				count++
				if size == 1 {
					blank++
				}
			} else {
				others = append(append(others, payload...), ';')
			}
		}

		merging := newFrames(&pieces{wire: wire, cuts: cuts})
		var gotRows, gotOthers []byte
		// The driver's own reader gives up at an error, so the messages are taken apart here.
		for rest := read(t, merging, framesBuffer/3); len(rest) > 0; {
			if len(rest) < headerSize {
				t.Fatalf("%d bytes are left over", len(rest))
			}
			size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
			payload := rest[headerSize:size]
			if rest[0] == copyData {
				gotRows = append(gotRows, payload...)
				if !ends[len(gotRows)] {
					t.Fatalf("a message ends within a row")
				}
			} else {
				gotOthers = append(append(gotOthers, payload...), ';')
			}
			rest = rest[size:]
		}
		if !bytes.Equal(gotRows, rows) || !bytes.Equal(gotOthers, others) {
			t.Errorf("got %d bytes of rows and %d of others, want %d and %d, unchanged", len(gotRows), len(gotOthers), len(rows), len(others))
		}
		if merging.rows != count || merging.blank != blank {
			t.Errorf("counted %d rows, %d of them blank, want %d and %d", merging.rows, merging.blank, count, blank)
		}
	})
}

// read reads to the end, so many bytes at a time, whatever errors pass.
func read(t *testing.T, from io.Reader, size int) (all []byte) {
	p := make([]byte, size)
	for {
		n, err := from.Read(p)
		all = append(all, p[:n]...)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil && !errors.Is(err, errPassing) {
			t.Fatal(err)
		}
	}
}

// pieces is a socket from which the bytes come as the cuts say; a cut of 0 is an error that passes.
type pieces struct {
	wire, cuts []byte
	at         int
}

var errPassing = errors.New("a deadline that is lifted later")

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.wire) == 0 {
		return 0, io.EOF
	}
	size := 1 << 20
	if p.at < len(p.cuts) {
		if size = int(p.cuts[p.at]); size == 255 {
			size = framesBuffer / 2
		}
		p.at++
	}
	if size == 0 {
		return 0, errPassing
	}
	n := copy(to, p.wire[:min(size, len(p.wire))])
	p.wire = p.wire[n:]
	return n, nil
}

// TestFramesLeaveWrongLengthsToTheDriver sends a row whose length cannot be.
func TestFramesLeaveWrongLengthsToTheDriver(t *testing.T) {
	for _, wire := range []string{"d\x00\x00\x00\x03abc", "d\x00\x00\x00\x05ad\xff\xff\xff\xff"} {
		driver := pgproto3.NewFrontend(newFrames(bytes.NewReader([]byte(wire))), io.Discard)
		var err error
		for range 3 {
			if _, err = driver.Receive(); err != nil {
				break
			}
		}
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: the driver says %v, want it to refuse the length", wire, err)
		}
	}
}
