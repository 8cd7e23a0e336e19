package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The messages of the wire protocol that are known here. OP_QUERY is how drivers greet a server that
// they do not know yet; OP_REPLY answers it.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// header stands before every message.
type header struct {
	length, id, answers, op uint32
}

const headerSize = 16

var le = binary.LittleEndian

// The flags of an OP_MSG that matter here.
const (
	checksumPresent = 1 << 0
	moreToCome      = 1 << 1
)

// request is a message from a client.
type request struct {
	header
	command bson.Raw
	silent  bool // no answer is wanted
}

// readRequest reads a message into buf, which grows when it has to, and returns it. The command is a
// part of buf.
func readRequest(conn io.Reader, buf []byte) (request, []byte, error) {
	const longest = 48_000_000
	var head [headerSize]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return request{}, buf, err
	}
	r := request{header: header{le.Uint32(head[0:]), le.Uint32(head[4:]), le.Uint32(head[8:]), le.Uint32(head[12:])}}
	if r.length < headerSize || r.length > longest {
		return request{}, buf, fmt.Errorf("a message of %d bytes", r.length)
	}
	size := int(r.length - headerSize)
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	body := buf[:size]
	if _, err := io.ReadFull(conn, body); err != nil {
		return request{}, buf, err
	}
	var err error
	switch r.op {
	case opQuery:
		// Only greetings come this way, whatever stands in them.
		r.command, err = bson.Marshal(bson.D{{Key: "hello", Value: 1}})
	case opMsg:
		r.command, r.silent, err = parseMsg(body)
	default:
		err = fmt.Errorf("a message of the unknown kind %d", r.op)
	}
	return r, buf, err
}

// parseMsg returns the command in the body of an OP_MSG.
func parseMsg(body []byte) (command bson.Raw, silent bool, err error) {
	if len(body) < 5 {
		return nil, false, io.ErrUnexpectedEOF
	}
	flags, kind, rest := le.Uint32(body), body[4], body[5:]
	if flags&checksumPresent != 0 || kind != 0 {
		return nil, false, errors.New("a message with a checksum, or with documents before its command")
	}
	if len(rest) < smallest || uint64(le.Uint32(rest)) > uint64(len(rest)) {
		return nil, false, io.ErrUnexpectedEOF
	}
	command = bson.Raw(rest[:le.Uint32(rest)])
	return command, flags&moreToCome != 0, command.Validate()
}

// writeAnswer sends the pieces of a document as the answer to a request.
func writeAnswer(conn io.Writer, to request, pieces ...[]byte) error {
	var prefix []byte // between the header and the document
	op := uint32(opMsg)
	if to.op == opQuery {
		op = opReply
		prefix = make([]byte, 20) // flags, cursor, starting from, number of documents
		le.PutUint32(prefix[16:], 1)
	} else {
		prefix = make([]byte, 5) // flags, and the kind of the section
	}
	size := headerSize + len(prefix)
	for _, piece := range pieces {
		size += len(piece)
	}
	head := make([]byte, 0, headerSize+len(prefix))
	for _, field := range []uint32{uint32(size), 0, to.id, op} {
		head = le.AppendUint32(head, field)
	}
	// Large pieces are not copied: the kernel takes them from where they lie.
	message := net.Buffers(append([][]byte{append(head, prefix...)}, pieces...))
	_, err := message.WriteTo(conn)
	return err
}
