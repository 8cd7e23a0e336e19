package mysql

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// frame returns a payload as the packets that carry it, the first of them with the number.
func frame(payload []byte, number byte) []byte {
	var packets []byte
	for {
		n := min(len(payload), maxPayload)
		packets = append(packets, byte(n), byte(n>>8), byte(n>>16), number)
		packets = append(packets, payload[:n]...)
		if n < maxPayload {
			return packets
		}
		payload, number = payload[n:], number+1
	}
}

// served returns a link whose server sends the bytes in pieces of random sizes, and then goes away.
func served(t testing.TB, random *rand.Rand, data []byte) *link {
	t.Helper()
	ours, theirs := net.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		defer theirs.Close()
		for len(data) > 0 {
			n := min(len(data), 1+random.IntN(1+random.IntN(2*linkBuffer)))
			if _, err := theirs.Write(data[:n]); err != nil {
				return // the test is over
			}
			data = data[n:]
		}
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		<-sent
	})
	return newLink(ours)
}

// TestLink takes packets of all sizes in both ways, in random turns.
func TestLink(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	sizes := []int{
		1, 3, 4, 5, 250, 4095, 4096, linkBuffer - headerSize, linkBuffer - 3, linkBuffer, linkKeep + 1, 3 << 20,
		maxPayload - 1, maxPayload, maxPayload + 1, 2*maxPayload + 7,
	}
	for range 300 {
		sizes = append(sizes, 1+random.IntN(2000))
	}
	random.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	var stream []byte
	var payloads [][]byte
	number := byte(1)
	for _, size := range sizes {
		payload := bytes.Repeat([]byte{byte(random.IntN(250)), byte(random.IntN(250))}, size/2+1)[:size]
		payloads = append(payloads, payload)
		stream = append(stream, frame(payload, number)...)
		number += byte(size/maxPayload) + 1
	}

	l := served(t, rand.New(rand.NewPCG(seed, 2)), stream)
	for i, want := range payloads {
		var got []byte
		var err error
		if random.IntN(2) == 0 || len(want) >= maxPayload {
			got, err = l.packet()
		} else {
			got = make([]byte, len(want)+headerSize+100) // room for more than the packet
			if _, err = io.ReadAtLeast(l, got, len(want)+headerSize); err == nil {
				if n := len(want) + headerSize; !bytes.Equal(got[n:], make([]byte, 100)) {
					t.Fatalf("packet %d of %d bytes: Read went beyond it", i, len(want))
				}
				got = got[headerSize : headerSize+len(want)]
			}
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("packet %d: got %d bytes (%v), want %d other ones", i, len(got), err, len(want))
		}
	}
	if len(l.buf) > linkKeep {
		t.Errorf("a buffer of %d bytes is kept, want no more than %d", len(l.buf), linkKeep)
	}
	if _, err := l.packet(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("behind the last packet: %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestLinkCutWithinPacket(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	whole := frame([]byte("fila"), 1)
	for n := range whole {
		l := served(t, random, whole[:n])
		if payload, err := l.packet(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of a packet gave %q, %v; want %v", n, payload, err, io.ErrUnexpectedEOF)
		}
	}
}

func TestLinkNumbers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	l := served(t, random, append(frame([]byte("a"), 1), frame([]byte("b"), 3)...))
	if _, err := l.packet(); err != nil {
		t.Fatal(err)
	}
	if payload, err := l.packet(); !errors.Is(err, mysql.ErrPktSync) {
		t.Errorf("packet 3 after packet 1 gave %q, %v; want %v", payload, err, mysql.ErrPktSync)
	}
	l = served(t, random, frame([]byte("\xff…"), 9))
	if payload, err := l.packet(); err != nil || !isError(payload) {
		t.Errorf("an error out of turn gave %q, %v; want it", payload, err)
	}
}

// TestLinkUnderTLS checks that nothing is looked for in what is encrypted.
func TestLinkUnderTLS(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	l := newLink(ours)
	go func() { _, _ = io.ReadFull(theirs, make([]byte, 36)) }()
	if _, err := l.Write(append([]byte{32, 0, 0, 1, 0, clientSSL >> 8}, make([]byte, 30)...)); err != nil {
		t.Fatal(err)
	}
	record := []byte{0x16, 3, 3, 0xff, 0xff, 1, 2, 3}
	go func() { _, _ = theirs.Write(record) }()
	got := make([]byte, len(record))
	if _, err := io.ReadFull(l, got); err != nil || !bytes.Equal(got, record) {
		t.Errorf("got %x (%v), want %x as it came", got, err, record)
	}
}

// FuzzSplit splits anything as a row, and rows made of anything.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x01a\xfb\x00"), uint8(3))
	f.Add([]byte("\xfc\x02\x00ab\xfd\x01\x00\x00c"), uint8(2))
	f.Add([]byte("\xfe\x01\x00\x00\x00\x00\x00\x00\x00x"), uint8(1))
	f.Add([]byte("\xfe\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, columns uint8) {
		values := make([][]byte, columns)
		if err := split(data, values); err != nil && !errors.Is(err, mysql.ErrMalformPkt) {
			t.Errorf("%x: %v, want %v", data, err, mysql.ErrMalformPkt)
		}
		// The same data as the values of a row, each of another length, some NULL.
		var row []byte
		var want [][]byte
		for i := 0; i < int(columns); i++ {
			if i%3 == 2 {
				row, want = append(row, 0xfb), append(want, nil)
				continue
			}
			value := data[:i*len(data)/int(columns)]
			row = append(append(row, 0xfd, byte(len(value)), byte(len(value)>>8), byte(len(value)>>16)), value...)
			want = append(want, value)
		}
		if err := split(row, values); err != nil {
			t.Fatalf("%x: %v", row, err)
		}
		for i := range want {
			if !bytes.Equal(values[i], want[i]) || (values[i] == nil) != (want[i] == nil) {
				t.Errorf("value %d of %x is %x, want %x", i, row, values[i], want[i])
			}
		}
		if split(append(row, 0), values) == nil || len(row) > 0 && split(row[:len(row)-1], values) == nil {
			t.Errorf("%x is taken for a row with a byte more or less", row)
		}
	})
}
