package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// serve runs handler until the end of the test and returns its URL.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestObjectOfAnySize(t *testing.T) {
	l := newLake(t)
	for _, c := range []struct {
		name  string
		size  int
		parts int
	}{
		{"empty", 0, 1},
		{"one byte", 1, 1},
		{"one byte less than a part", minPartSize - 1, 1},
		{"exactly one part", minPartSize, 1},
		{"one byte more than a part", minPartSize + 1, 2},
		{"exactly two parts", 2 * minPartSize, 2},
		{"more parts than buffers", 9*minPartSize + 12345, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := pattern(c.size)
			key := "mysql/" + strings.ReplaceAll(c.name, " ", "_") + ".csv"
			receipt := l.mustWrite(key, owner("job", 1), content)
			l.wantObject(key, content, receipt)
			if receipt.Parts != c.parts {
				t.Errorf("the object went out in %d parts; want %d", receipt.Parts, c.parts)
			}
		})
	}
}

func TestWritesOfAnyLengthMakeTheSameObject(t *testing.T) {
	l := newLake(t)
	content := pattern(2*minPartSize + 777)
	for _, length := range []int{1000, 64 << 10, minPartSize, 2 * minPartSize} {
		key := fmt.Sprintf("mysql/by_%d.csv", length)
		object := l.create(key, owner("job", 1))
		for chunk := range slices.Chunk(content, length) {
			scratch := bytes.Clone(chunk)
			if n, err := object.Write(scratch); n != len(scratch) || err != nil {
				t.Fatalf("Write returned %d, %v; want %d, nil", n, err, len(scratch))
			}
			clear(scratch) // the object must not have kept it
		}
		receipt, err := object.Complete(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.wantObject(key, content, receipt)
	}
}

func TestNothingIsVisibleBeforeComplete(t *testing.T) {
	l := newLake(t)
	object := l.create("mysql/users.csv", owner("job", 1))
	if _, err := object.Write(pattern(3 * minPartSize)); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.read("mysql/users.csv"); ok {
		t.Error("the object is visible before Complete")
	}
}

func TestObjectsShareTheMemory(t *testing.T) {
	// Two buffers for six objects of up to three parts in flight each: every object must still
	// come to its end, and the memory must never exceed its budget.
	l := newLake(t, func(c *Config) { c.Memory = 2 * minPartSize })
	content := pattern(4*minPartSize + 1)
	receipts := make([]Receipt, 6)
	var group sync.WaitGroup
	for i := range receipts {
		object := l.create(fmt.Sprintf("mysql/o%d.csv", i), owner("job", 1))
		group.Go(func() {
			for chunk := range slices.Chunk(content, 100_000) {
				if _, err := object.Write(chunk); err != nil {
					t.Errorf("writing object %d: %v", i, err)
					return
				}
				if mapped := l.mapped(); mapped > 2*minPartSize {
					t.Errorf("%d bytes of buffers are mapped; the budget is %d", mapped, 2*minPartSize)
				}
			}
			var err error
			if receipts[i], err = object.Complete(t.Context()); err != nil {
				t.Errorf("completing object %d: %v", i, err)
			}
		})
	}
	group.Wait()
	for i, receipt := range receipts {
		l.wantObject(fmt.Sprintf("mysql/o%d.csv", i), content, receipt)
	}
}

// mapped returns how much memory the part buffers take now.
func (s *Store) mapped() int64 {
	s.buffers.mu.Lock()
	defer s.buffers.mu.Unlock()
	return s.buffers.mapped
}

func TestPartsGrow(t *testing.T) {
	cfg := Config{PartSize: 8 * mib, Memory: 64 * mib}
	for _, c := range []struct{ before, want int }{
		{0, 8 * mib}, {999, 8 * mib}, {1000, 16 * mib}, {2000, 32 * mib}, {3000, 32 * mib}, {9999, 32 * mib},
	} {
		if got := cfg.partSize(c.before); got != c.want {
			t.Errorf("the part after %d others has %d bytes; want %d", c.before, got, c.want)
		}
	}
	cfg.Memory = 1 << 40
	var total int64
	for i := range maxParts {
		total += int64(cfg.partSize(i))
	}
	if total < 5<<40 {
		t.Errorf("with memory to spare an object may have %d bytes; want at least the 5 TiB that S3 allows", total)
	}
}

func TestBuffersOfManySizesKeepTheBudget(t *testing.T) {
	b := newBuffers(8 * mib)
	b.open()
	for _, size := range []int{4 * mib, 4 * mib, 8 * mib, 1 * mib, 4 * mib, 2 * mib} {
		buf, err := b.get(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		if len(buf) != size {
			t.Errorf("a buffer of %d bytes has %d", size, len(buf))
		}
		if b.mapped > b.budget {
			t.Errorf("%d bytes are mapped; the budget is %d", b.mapped, b.budget)
		}
		b.put(buf)
	}
	b.close()
	if b.mapped != 0 || len(b.free) != 0 {
		t.Errorf("without objects %d bytes are mapped; want none", b.mapped)
	}
}

func TestAnAbandonedObjectLeavesNothing(t *testing.T) {
	l := newLake(t)
	for _, size := range []int{0, 1, minPartSize, 5*minPartSize + 1} {
		object := l.create("mysql/users.csv", owner("job", 1))
		if _, err := object.Write(pattern(size)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // safe to repeat
			if err := object.Abort(t.Context()); err != nil {
				t.Fatalf("aborting after %d bytes: %v", size, err)
			}
		}
		l.wantNothing("mysql/users.csv")
		if _, err := object.Write([]byte("x")); err == nil {
			t.Error("Write after Abort succeeded")
		}
		if _, err := object.Complete(t.Context()); err == nil {
			t.Error("Complete after Abort succeeded")
		}
	}
}

func TestAbortAfterCompleteKeepsTheObject(t *testing.T) {
	l := newLake(t)
	object := l.create("mysql/users.csv", owner("job", 1))
	receipt, err := object.Complete(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := object.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantObject("mysql/users.csv", nil, receipt)
}

func TestARefusingGuardLeavesNothing(t *testing.T) {
	l := newLake(t)
	lost := ingest.Permanent(ingest.LeaseLost, nil, "gone")
	object, err := l.Create(t.Context(), "mysql/users.csv", owner("job", 1), func(context.Context) error { return lost })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := object.Write(pattern(minPartSize + 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := object.Complete(t.Context()); !errors.Is(err, lost) {
		t.Errorf("Complete returned %v; want the guard's error", err)
	}
	if err := object.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantNothing("mysql/users.csv")
}

func TestACancelledContextEndsAnObject(t *testing.T) {
	l := newLake(t)
	why := errors.New("the job was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	object, err := l.Create(ctx, "mysql/users.csv", owner("job", 1), unguarded)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := object.Write(pattern(minPartSize + 1)); err != nil {
		t.Fatal(err)
	}
	cancel(why)
	if _, err := object.Write(pattern(minPartSize)); !errors.Is(err, why) {
		t.Errorf("Write returned %v; want the cause of the cancellation", err)
	}
	if _, err := object.Complete(ctx); !errors.Is(err, why) {
		t.Errorf("Complete returned %v; want the cause of the cancellation", err)
	}
	if err := object.Abort(ctx); err != nil { // works under a context that has ended
		t.Fatal(err)
	}
	l.wantNothing("mysql/users.csv")
}

func TestCancellationFreesAWriterThatWaitsForMemory(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t), func(c *Config) { c.Memory = 2 * minPartSize })
	stalled := make(chan struct{})
	var once sync.Once
	stall := func(_ http.ResponseWriter, r *http.Request) bool {
		if !isPart(r) {
			return false
		}
		once.Do(func() { close(stalled) })
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	}
	p.before.Store(&stall)
	ctx, cancel := context.WithCancel(t.Context())
	object, err := l.Create(ctx, "mysql/users.csv", owner("job", 1), unguarded)
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error)
	go func() {
		_, err := object.Write(pattern(10 * minPartSize))
		wrote <- err
	}()
	<-stalled
	cancel()
	select {
	case err := <-wrote:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Write returned %v; want context.Canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Write still waits 10 s after its context was cancelled")
	}
	p.before.Store(nil)
	if err := object.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantNothing("mysql/users.csv")
}

func TestAFailedPartFailsTheObject(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	refuse := func(w http.ResponseWriter, r *http.Request) bool {
		if !isPart(r) || r.URL.Query().Get("partNumber") != "2" {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // left unread, it would reset the connection before the answer is heard
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	p.before.Store(&refuse)
	object := l.create("mysql/users.csv", owner("job", 1))
	_, err := object.Write(pattern(20 * minPartSize))
	if err == nil {
		_, err = object.Complete(t.Context())
	}
	wantCode(t, err, ingest.StorageDenied, false)
	if _, err := object.Complete(t.Context()); err == nil {
		t.Error("Complete succeeded although a part was refused")
	}
	p.before.Store(nil)
	if err := object.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantNothing("mysql/users.csv")
}

func TestSlowDownIsRetried(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	var refused atomic.Int32
	slowDown := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead || refused.Add(1) > 2 {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>`)
		return true
	}
	p.before.Store(&slowDown)
	content := pattern(minPartSize + 1)
	receipt := l.mustWrite("mysql/users.csv", owner("job", 1), content)
	l.wantObject("mysql/users.csv", content, receipt)
}

func TestAStalledServerIsGivenUp(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t), func(c *Config) { c.Timeout, c.Attempts = 200*time.Millisecond, 2 })
	object := l.create("mysql/users.csv", owner("job", 1))
	stall := func(_ http.ResponseWriter, r *http.Request) bool {
		if !isPart(r) {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	}
	p.before.Store(&stall)
	if _, err := object.Write(pattern(1)); err != nil {
		t.Fatal(err)
	}
	_, err := object.Complete(t.Context())
	wantCode(t, err, ingest.StorageUnavailable, true)
	if got := ingest.AsError(err).Message; !strings.Contains(got, "UploadPart") {
		t.Errorf("the message is %q; want it to name the request that timed out", got)
	}
}

func TestAnUnreachableServerIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	l := newLake(t, func(c *Config) { c.Endpoint, c.Attempts = "http://"+address, 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = l.Create(ctx, "mysql/users.csv", owner("job", 1), unguarded)
	wantCode(t, err, ingest.StorageUnavailable, true)
	wantCode(t, l.Ping(ctx), ingest.StorageUnavailable, true)
}
