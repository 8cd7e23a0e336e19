package mongodb

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/workers/engine"
)

// replay is a server that speaks just enough of the wire protocol to serve one collection from
// memory. It stands in for what the local stack's server cannot do: types that it does not know,
// snapshot sessions, errors on demand, and speed.
type replay struct {
	listener net.Listener
	ended    sync.WaitGroup
	hello    bson.D            // beside the usual
	fails    map[string]bson.D // answers instead of the usual, by command
	stalls   string            // a command that is never answered
	docs     [][]byte

	mu       sync.Mutex
	conns    map[net.Conn]bool
	commands []bson.Raw // as they came, without the driver's own
	cursors  map[int64]int
}

const replayCollection = "replayed"

func newReplay(t testing.TB, docs ...[]byte) *replay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &replay{listener: listener, docs: docs, conns: map[net.Conn]bool{}, cursors: map[int64]int{}, fails: map[string]bson.D{}}
	s.ended.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.ended.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		s.ended.Wait()
	})
	return s
}

// source returns a source of the server, without authentication.
func (s *replay) source(t testing.TB) *Source {
	t.Helper()
	address := s.listener.Addr().(*net.TCPAddr)
	source, err := New(Config{Host: "127.0.0.1", Port: address.Port, Database: "d", Snapshot: true, ConnectTimeout: 5 * time.Second}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func (s *replay) serve(conn net.Conn) {
	defer conn.Close()
	var header [16]byte
	for {
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		message := make([]byte, le.Uint32(header[:])-16)
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		const opQuery = 2004
		var reply []byte
		if le.Uint32(header[12:]) == opQuery { // the greeting of old, to which OP_REPLY is the answer
			reply = make([]byte, 20)
			le.PutUint32(reply[16:], 1)
			reply = frame(header, 1, append(reply, s.answer(bson.Raw{5, 0, 0, 0, 0}, "hello")...))
		} else {
			command, _, err := document(message[5:])
			if err != nil {
				return
			}
			if firstKey(command) == s.stalls {
				continue
			}
			reply = frame(header, 2013, append(make([]byte, 5), s.answer(command, firstKey(command))...))
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

// frame puts the header of an answer in front of body.
func frame(request [16]byte, opcode uint32, body []byte) []byte {
	out := make([]byte, 16, 16+len(body))
	le.PutUint32(out, uint32(16+len(body)))
	copy(out[8:12], request[4:8])
	le.PutUint32(out[12:], opcode)
	return append(out, body...)
}

func (s *replay) answer(command bson.Raw, name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fail, ok := s.fails[name]; ok {
		return marshalled(fail)
	}
	ok := bson.E{Key: "ok", Value: 1.0}
	switch name {
	case "hello", "isMaster", "ismaster":
		return marshalled(append(bson.D{
			{Key: "isWritablePrimary", Value: true}, {Key: "helloOk", Value: true},
			{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48_000_000}, {Key: "maxWriteBatchSize", Value: 1000},
			{Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 17}, {Key: "logicalSessionTimeoutMinutes", Value: 30}, ok,
		}, s.hello...))
	case "listCollections":
		found := bson.A{bson.D{{Key: "name", Value: replayCollection}, {Key: "type", Value: "collection"}}}
		return marshalled(bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "d.c"}, {Key: "firstBatch", Value: found}}}, ok})
	case "count":
		return marshalled(bson.D{{Key: "n", Value: len(s.docs)}, ok})
	case "find":
		s.commands = append(s.commands, bytes.Clone(command))
		id := int64(len(s.cursors) + 1)
		s.cursors[id] = 0
		return s.nextBatch(id, "firstBatch", int(command.Lookup("batchSize").AsInt64()))
	case "getMore":
		return s.nextBatch(command.Lookup("getMore").Int64(), "nextBatch", int(command.Lookup("batchSize").AsInt64()))
	default:
		return marshalled(bson.D{ok})
	}
}

// nextBatch answers with the next documents of a cursor.
func (s *replay) nextBatch(id int64, name string, n int) []byte {
	from := s.cursors[id]
	to := min(from+n, len(s.docs))
	s.cursors[id] = to
	if to == len(s.docs) {
		id = 0
	}
	size := 200
	for _, doc := range s.docs[from:to] {
		size += len(doc) + 10
	}
	out := make([]byte, 4, size)
	out = append(out, "\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f\x03cursor\x00"...)
	cursor := len(out)
	out = append(out, "\x00\x00\x00\x00\x12id\x00"...)
	out = le.AppendUint64(out, uint64(id))
	out = append(out, "\x02ns\x00\x04\x00\x00\x00d.c\x00\x04"...)
	out = append(append(out, name...), 0)
	batch := len(out)
	out = append(out, 0, 0, 0, 0)
	for _, doc := range s.docs[from:to] {
		out = append(out, byte(kindDocument), '0', 0) // drivers do not read the index
		out = append(out, doc...)
	}
	out = append(out, 0)
	le.PutUint32(out[batch:], uint32(len(out)-batch))
	out = append(out, 0)
	le.PutUint32(out[cursor:], uint32(len(out)-cursor))
	out = append(out, 0)
	le.PutUint32(out, uint32(len(out)))
	return out
}

func marshalled(doc bson.D) []byte {
	data, err := bson.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return data
}

// sink keeps what it is given.
type sink struct {
	bytes.Buffer
	rows int64
}

func (s *sink) AddRows(n int64) { s.rows += n }

// discard forgets what it is given.
type discard struct{ io.Writer }

func (discard) AddRows(int64) {}

// export reads the replayed collection and returns the file and the rest.
func (s *replay) export(t testing.TB, columns ...string) (string, engine.Extraction, engine.Tally) {
	t.Helper()
	session, err := s.source(t).Open(t.Context())
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	defer session.Close(t.Context())
	extraction, err := session.Prepare(t.Context(), dataset(columns...))
	if err != nil {
		t.Fatalf("preparing: %v", err)
	}
	var out sink
	tally, err := extraction.Run(t.Context(), &out)
	if err != nil {
		t.Fatalf("extracting: %v", err)
	}
	return out.String(), extraction, tally
}

func dataset(columns ...string) catalog.Dataset {
	return catalog.Dataset{Name: "r", Collection: replayCollection, Columns: columnsNamed(columns...)}
}

// replicaSet makes the server greet as the only member of a replica set.
func (s *replay) replicaSet() {
	address := s.listener.Addr().String()
	s.hello = bson.D{
		{Key: "setName", Value: "rs0"}, {Key: "setVersion", Value: 1}, {Key: "hosts", Value: bson.A{address}},
		{Key: "primary", Value: address}, {Key: "me", Value: address}, {Key: "operationTime", Value: bson.Timestamp{T: 1735830000, I: 7}},
	}
}
