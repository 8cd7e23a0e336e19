package replay

import (
	"fmt"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// What the server claims to be.
const (
	version     = "7.0.0"
	wireVersion = 21
)

// The limits of a batch in a real server.
const (
	maxBatchBytes     = 16 << 20
	defaultFirstBatch = 101
)

var ok = bson.E{Key: "ok", Value: 1.0}

// answer carries a command out and returns the pieces of the document that answers it.
func (s *Server) answer(command bson.Raw) ([][]byte, error) {
	first, err := command.IndexErr(0)
	if err != nil {
		return nil, refuse(9, "FailedToParse", "a command is wanted")
	}
	switch name := first.Key(); name {
	case "hello", "isMaster", "ismaster":
		return document(bson.D{
			{Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true}, {Key: "helloOk", Value: true},
			{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48_000_000}, {Key: "maxWriteBatchSize", Value: 100_000},
			{Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: wireVersion}, {Key: "logicalSessionTimeoutMinutes", Value: 30},
			{Key: "readOnly", Value: true}, ok,
		})
	case "buildInfo", "buildinfo":
		return document(bson.D{{Key: "version", Value: version}, {Key: "versionArray", Value: bson.A{7, 0, 0, 0}}, ok})
	case "ping", "endSessions":
		return document(bson.D{ok})
	case "listCollections":
		return s.listCollections(command)
	case "count":
		if !empty(command, "query") || !s.holds(first.Value()) {
			return nil, refuse(115, "CommandNotSupported", "only the whole collection %s can be counted", s.collection.Name)
		}
		return document(bson.D{{Key: "n", Value: s.collection.Len()}, ok})
	case "find":
		return s.find(command, first.Value())
	case "getMore":
		id, _ := first.Value().AsInt64OK()
		return s.next(id, "nextBatch", batchSize(command, math.MaxInt))
	case "killCursors":
		return s.killCursors(command)
	default:
		return nil, refuse(59, "CommandNotFound", "no such command: '%s'", name)
	}
}

// holds reports whether the value names the collection.
func (s *Server) holds(name bson.RawValue) bool {
	text, isText := name.StringValueOK()
	return isText && text == s.collection.Name
}

// empty reports whether the command has no conditions under the key.
func empty(command bson.Raw, key string) bool {
	value := command.Lookup(key)
	conditions, isDocument := value.DocumentOK()
	return value.IsZero() || isDocument && len(conditions) == smallest
}

// whole reports whether a find wants all documents.
func whole(command bson.Raw) bool {
	for _, key := range []string{"limit", "skip"} {
		if n, given := command.Lookup(key).AsInt64OK(); given && n != 0 {
			return false
		}
	}
	return empty(command, "filter") && command.Lookup("min").IsZero() && command.Lookup("max").IsZero()
}

// batchSize returns how many documents the client wants in a batch.
func batchSize(command bson.Raw, unsaid int) int {
	if n, given := command.Lookup("batchSize").AsInt64OK(); given {
		return int(n)
	}
	return unsaid
}

func (s *Server) listCollections(command bson.Raw) ([][]byte, error) {
	found := bson.A{}
	if wanted := command.Lookup("filter", "name"); wanted.IsZero() || s.holds(wanted) {
		found = bson.A{bson.D{{Key: "name", Value: s.collection.Name}, {Key: "type", Value: "collection"}, {Key: "options", Value: bson.D{}}, {Key: "info", Value: bson.D{{Key: "readOnly", Value: true}}}}}
	}
	namespace := fmt.Sprintf("%s.$cmd.listCollections", databaseOf(command))
	return document(bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: namespace}, {Key: "firstBatch", Value: found}}}, ok})
}

func databaseOf(command bson.Raw) string {
	name, _ := command.Lookup("$db").StringValueOK() // a driver always says it
	return name
}

// find opens a cursor. A collection of another name is empty, as in a real server.
func (s *Server) find(command bson.Raw, name bson.RawValue) ([][]byte, error) {
	if !whole(command) {
		return nil, refuse(115, "CommandNotSupported", "only whole collections are replayed")
	}
	from := 0
	if !s.holds(name) {
		from = s.collection.Len()
	}
	s.mu.Lock()
	s.latest++
	id := s.latest
	s.cursors[id] = from
	s.mu.Unlock()
	return s.next(id, "firstBatch", batchSize(command, defaultFirstBatch))
}

// next answers with the next batch of a cursor, under the name.
func (s *Server) next(id int64, name string, n int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, open := s.cursors[id]
	if !open {
		return nil, refuse(43, "CursorNotFound", "cursor id %d not found", id)
	}
	if n == 0 && name == "nextBatch" { // there it means as many as fit
		n = math.MaxInt
	}
	elements, to := s.collection.batch(from, n, maxBatchBytes)
	s.cursors[id] = to
	if to == s.collection.Len() {
		delete(s.cursors, id)
		id = 0
	}
	return cursorAnswer(id, "replay."+s.collection.Name, name, elements), nil
}

func (s *Server) killCursors(command bson.Raw) ([][]byte, error) {
	list, isArray := command.Lookup("cursors").ArrayOK()
	if !isArray {
		return nil, refuse(9, "FailedToParse", "the cursors to kill are wanted")
	}
	values, err := list.Values()
	if err != nil {
		return nil, refuse(9, "FailedToParse", "the cursors to kill are wanted")
	}
	killed, unknown := bson.A{}, bson.A{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values {
		id, _ := value.AsInt64OK()
		if _, open := s.cursors[id]; open {
			delete(s.cursors, id)
			killed = append(killed, id)
		} else {
			unknown = append(unknown, id)
		}
	}
	return document(bson.D{
		{Key: "cursorsKilled", Value: killed}, {Key: "cursorsNotFound", Value: unknown}, {Key: "cursorsAlive", Value: bson.A{}}, {Key: "cursorsUnknown", Value: bson.A{}}, ok,
	})
}

// document encodes an answer.
func document(d bson.D) ([][]byte, error) {
	text, err := bson.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	return [][]byte{text}, nil
}

// cursorAnswer returns the pieces of {cursor: {id, ns, <name>: [elements]}, ok: 1}, of which the
// elements are the caller's own.
func cursorAnswer(id int64, namespace, name string, elements []byte) [][]byte {
	const (
		double, text, embedded, array, int64Type = 1, 2, 3, 4, 18
		lengthSize, end                          = 4, 1
	)
	key := func(b []byte, kind byte, name string) []byte { return append(append(append(b, kind), name...), 0) }

	cursor := key(make([]byte, lengthSize), int64Type, "id")
	cursor = le.AppendUint64(cursor, uint64(id))
	cursor = key(cursor, text, "ns")
	cursor = le.AppendUint32(cursor, uint32(len(namespace)+1))
	cursor = append(append(cursor, namespace...), 0)
	cursor = key(cursor, array, name)
	cursor = le.AppendUint32(cursor, uint32(lengthSize+len(elements)+end))
	le.PutUint32(cursor, uint32(len(cursor)+len(elements)+end+end))

	head := key(make([]byte, lengthSize), embedded, "cursor")
	head = append(head, cursor...)
	tail := []byte{0, 0} // of the array, and of the cursor
	tail = key(tail, double, "ok")
	tail = le.AppendUint64(tail, math.Float64bits(1))
	tail = append(tail, 0)
	le.PutUint32(head, uint32(len(head)+len(elements)+len(tail)))
	return [][]byte{head, elements, tail}
}
