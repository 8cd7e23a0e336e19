package replay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
)

// Collection is a sequence of documents, kept as they go over the wire: as the elements of a BSON
// array. Any batch of it is a piece of that array. It may be read by several goroutines at once, as
// long as nothing is appended.
type Collection struct {
	Name string

	elements []byte
	ends     []int // where each element ends
}

// smallest is the size of an empty document: its length and a zero byte.
const smallest = 5

// Append appends a document, which is copied. Of its BSON only the frame is looked at.
func (c *Collection) Append(doc []byte) error {
	if len(doc) < smallest || int(binary.LittleEndian.Uint32(doc)) != len(doc) || doc[len(doc)-1] != 0 {
		return fmt.Errorf("document %d of %s is no BSON document", len(c.ends), c.Name)
	}
	const embedded = 3 // the type of a document within another
	// Drivers do not read the index. It is that in the collection, not in a batch, so that a batch
	// needs no work.
	c.elements = strconv.AppendInt(append(c.elements, embedded), int64(len(c.ends)), 10)
	c.elements = append(append(c.elements, 0), doc...)
	c.ends = append(c.ends, len(c.elements))
	return nil
}

// Len returns the number of documents.
func (c *Collection) Len() int { return len(c.ends) }

// batch returns the elements of up to n documents from the one at index from, and the index after the
// last. It has no more bytes than most, but for one document that is larger by itself.
func (c *Collection) batch(from, n, most int) (elements []byte, to int) {
	if from >= len(c.ends) || n <= 0 {
		return nil, from
	}
	start := 0
	if from > 0 {
		start = c.ends[from-1]
	}
	to = len(c.ends)
	if n < to-from {
		to = from + n
	}
	fitting := sort.Search(to-from, func(i int) bool { return c.ends[from+i] > start+most })
	to = from + max(1, fitting)
	return c.elements[start:c.ends[to-1]], to
}

// Load reads a file of documents, one after the other, as mongodump writes it: all, or the first of
// them up to most.
func Load(path, name string, most int) (*Collection, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading recorded documents: %w", err)
	}
	defer file.Close()
	c := &Collection{Name: name}
	in := bufio.NewReaderSize(file, 1<<20)
	for c.Len() < most {
		doc, err := next(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = c.Append(doc)
		}
		if err != nil {
			return nil, fmt.Errorf("reading recorded documents from %s: %w", path, err)
		}
	}
	return c, nil
}

// next reads a document. Its error is io.EOF at the end of the file, and only there.
func next(in io.Reader) ([]byte, error) {
	const largest = 16 << 20 // of a document, in any MongoDB
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(length[:])
	if size < smallest || size > largest {
		return nil, fmt.Errorf("a document of %d bytes", size)
	}
	doc := make([]byte, size)
	copy(doc, length[:])
	if _, err := io.ReadFull(in, doc[len(length):]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return doc, nil
}
