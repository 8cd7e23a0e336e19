package upload

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// buffers is the memory for parts that all objects of a Store share. It never exceeds its budget,
// it touches memory only as parts fill, and it holds none while no object is being written.
//
// It cannot deadlock. An object asks for a buffer only while it fills none: it hands a full part
// over before it wants the next. So whoever waits holds only parts that are on their way, and
// those come back by themselves, because every request has a bounded time and a bounded number of
// tries. A buffer that is being filled needs no second one to become full. What remains is
// slowness: while more objects are open than the budget has buffers, the last ones wait for a
// whole object to end.
type buffers struct {
	tokens *semaphore.Weighted // bytes in use; first come, first served, so large parts are not starved
	budget int64

	mu     sync.Mutex
	free   [][]byte
	mapped int64 // bytes in use and free
	users  int   // open objects
}

func newBuffers(budget Size) *buffers {
	return &buffers{tokens: semaphore.NewWeighted(int64(budget)), budget: int64(budget)}
}

// get returns a buffer of exactly size bytes and undefined content. It waits until the budget
// allows for it; ctx ends the wait.
func (b *buffers) get(ctx context.Context, size int) ([]byte, error) {
	if err := b.tokens.Acquire(ctx, int64(size)); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, buf := range b.free {
		if len(buf) == size {
			last := len(b.free) - 1
			b.free[i], b.free[last] = b.free[last], nil
			b.free = b.free[:last]
			return buf, nil
		}
	}
	// The budget bounds what is mapped, not only what is in use: free buffers of other sizes make room.
	for len(b.free) > 0 && b.mapped+int64(size) > b.budget {
		b.drop()
	}
	buf, err := mapMemory(size)
	if err != nil {
		b.tokens.Release(int64(size))
		return nil, ingest.Transient(ingest.Internal, fmt.Errorf("mapping a part buffer of %d bytes: %w", size, err),
			"the worker is out of memory")
	}
	b.mapped += int64(size)
	return buf, nil
}

// put takes back a buffer of get.
func (b *buffers) put(buf []byte) {
	b.mu.Lock()
	b.free = append(b.free, buf)
	b.mu.Unlock()
	b.tokens.Release(int64(len(buf)))
}

// open counts an object that may ask for buffers; each call is followed by one of close, after
// the object's last put.
func (b *buffers) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users++
}

func (b *buffers) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users--
	for b.users == 0 && len(b.free) > 0 {
		b.drop()
	}
}

// drop gives the last free buffer back to the system. The caller holds mu.
func (b *buffers) drop() {
	last := len(b.free) - 1
	b.mapped -= int64(len(b.free[last]))
	unmapMemory(b.free[last])
	b.free[last] = nil
	b.free = b.free[:last]
}
