package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Object is an object that is being written. It is used by one goroutine at a time. Complete or
// Abort ends it; until then it holds goroutines and memory.
type Object struct {
	store    *Store
	key      string
	uploadID string
	stamp    stamp
	guard    func(context.Context) error
	twin     bool // S3 may have begun the upload more than once

	ctx    context.Context // ends with the caller's, with the first failure, and with Abort
	caller context.Context
	cancel context.CancelCauseFunc
	sends  *errgroup.Group

	filling []byte // the part being filled; nil between two parts
	filled  int
	parts   int // handed over so far

	mu        sync.Mutex
	completed []types.CompletedPart // by part number - 1

	hashing chan *part    // parts in order, to the hashing goroutine
	hashed  chan struct{} // closed when that goroutine has ended
	sum     hash.Hash
	bytes   int64

	ended     bool // the goroutines have been waited for
	published bool // the object is visible
}

// part is a full part on its way: the sender and the hasher hold it, and the last of the two
// gives the buffer back.
type part struct {
	number  int32
	data    []byte
	buffer  []byte // nil for an empty part
	holders atomic.Int32
}

// Receipt is what is known of a complete object.
type Receipt struct {
	ETag   string
	SHA256 string // lower-case hex of the whole object
	Bytes  int64
	Parts  int
}

func newObject(ctx context.Context, s *Store, key, uploadID string, stamp stamp, guard func(context.Context) error) *Object {
	cancellable, cancel := context.WithCancelCause(ctx)
	sends, shared := errgroup.WithContext(cancellable)
	sends.SetLimit(s.cfg.Parallel)
	o := &Object{
		store: s, key: key, uploadID: uploadID, stamp: stamp, guard: guard,
		ctx: shared, caller: ctx, cancel: cancel, sends: sends,
		// As many as there can be parts at all, so that handing one over never waits for the hasher.
		hashing: make(chan *part, int(s.cfg.Memory/s.cfg.PartSize)+1),
		hashed:  make(chan struct{}),
		sum:     sha256.New(),
	}
	s.buffers.open()
	go o.hash()
	return o
}

// errEnded is the defect of a caller that goes on writing.
var errEnded = errors.New("the object has been completed or aborted")

// Write appends p to the object and keeps no reference to it. It waits while all buffers are in
// use and as many parts are on their way as may be. The first failure of any part fails it.
func (o *Object) Write(p []byte) (int, error) {
	if o.ended {
		return 0, errEnded
	}
	if o.ctx.Err() != nil {
		return 0, o.broken(context.Cause(o.ctx))
	}
	written := 0
	for len(p) > 0 {
		if o.filling == nil {
			if err := o.next(); err != nil {
				return written, err
			}
		}
		n := copy(o.filling[o.filled:], p)
		o.filled += n
		written += n
		p = p[n:]
		if o.filled == len(o.filling) {
			o.send()
		}
	}
	return written, nil
}

// next gets the buffer of the next part.
func (o *Object) next() error {
	if o.parts == maxParts {
		return ingest.Permanent(ingest.StorageDenied, nil,
			"the object would need more than %d parts; raise INGESTA_UPLOAD_MEMORY, which bounds the size of a part", maxParts)
	}
	buf, err := o.store.buffers.get(o.ctx, o.store.cfg.partSize(o.parts))
	if err != nil {
		return o.broken(err)
	}
	o.filling, o.filled = buf, 0
	return nil
}

// growEvery is the number of parts after which the part size doubles: the 10,000 parts of an
// upload then end only where the memory does.
const growEvery = 1000

// partSize returns the size of the part that follows so many others. A part takes at most half of
// the memory, so that one can fill while one is sent.
func (c Config) partSize(before int) int {
	size := int64(c.PartSize)
	for range before / growEvery {
		size = min(2*size, int64(c.Memory)/2, maxPartSize)
	}
	return int(size)
}

// send hands the part being filled over to a sender and to the hasher. It waits while as many
// parts are on their way as may be.
func (o *Object) send() {
	o.parts++
	p := &part{number: int32(o.parts), data: o.filling[:o.filled], buffer: o.filling}
	p.holders.Store(2)
	o.filling, o.filled = nil, 0
	o.mu.Lock()
	o.completed = append(o.completed, types.CompletedPart{})
	o.mu.Unlock()
	o.hashing <- p
	o.sends.Go(func() error {
		defer o.release(p)
		return o.upload(p)
	})
}

func (o *Object) release(p *part) {
	if p.holders.Add(-1) == 0 && p.buffer != nil {
		o.store.buffers.put(p.buffer)
	}
}

// upload sends one part. When it returns the SDK does not read the part any more.
func (o *Object) upload(p *part) error {
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	out, err := o.store.client.UploadPart(o.ctx, &s3.UploadPartInput{
		Bucket: &o.store.cfg.Bucket, Key: &o.key, UploadId: &o.uploadID,
		ChecksumAlgorithm: o.store.checksum(), PartNumber: &p.number, Body: bytes.NewReader(p.data), ContentLength: aws.Int64(int64(len(p.data))),
	}, o.store.bounded("UploadPart", o.store.cfg.Timeout), o.store.unsignedBody)
	if err != nil {
		return o.store.failure(o.ctx, fmt.Sprintf("uploading part %d of %s", p.number, o.key), err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.completed[p.number-1] = types.CompletedPart{PartNumber: &p.number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}
	return nil
}

// hash sums up the parts in order, beside their upload: what is counted is what leaves.
func (o *Object) hash() {
	defer close(o.hashed)
	for p := range o.hashing {
		o.sum.Write(p.data)
		o.bytes += int64(len(p.data))
		o.release(p)
	}
}

// broken returns why the object cannot be written any further: the cause for which its context
// ended, else err.
func (o *Object) broken(err error) error {
	if o.caller.Err() != nil {
		return fmt.Errorf("writing %s: %w", o.key, context.Cause(o.caller))
	}
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	return err
}

// end waits for the goroutines of the object and gives its memory back.
func (o *Object) end() error {
	o.ended = true
	close(o.hashing)
	err := o.sends.Wait()
	<-o.hashed
	if o.filling != nil {
		o.store.buffers.put(o.filling)
		o.filling = nil
	}
	o.store.buffers.close()
	return err
}

// Complete sends the rest and makes the object visible, whole. After an error nothing of this
// upload is visible unless the error says that the answer of S3 was lost for good, and Abort is
// due. An older object of the same job is replaced; see publish for the rest.
func (o *Object) Complete(ctx context.Context) (Receipt, error) {
	if o.ended {
		return Receipt{}, errEnded
	}
	if o.filled > 0 || o.parts == 0 {
		o.send() // an upload has at least one part, which may be empty
	}
	if err := o.end(); err != nil {
		return Receipt{}, o.broken(err)
	}
	etag, err := o.store.publish(ctx, "completing "+o.key, o.key, o.stamp, o.guard, o.complete)
	if err != nil {
		return Receipt{}, err
	}
	o.published = true
	o.cancel(nil)
	o.store.forget(o.uploadID)
	if o.twin {
		_ = o.store.AbortStale(ctx, o.key, o.stamp.owner) // the object stands; what is left, the reaper will find
	}
	return Receipt{ETag: etag, SHA256: hex.EncodeToString(o.sum.Sum(nil)), Bytes: o.bytes, Parts: o.parts}, nil
}

// assembly is the speed at which a server must at least put parts together: some copy them.
const assembly = 16 << 20 // bytes per second

// complete tries once to complete the upload.
func (o *Object) complete(ctx context.Context, when condition) (string, error) {
	limit := o.store.cfg.Timeout + time.Duration(o.bytes/assembly)*time.Second
	ifNoneMatch, ifMatch := when.headers()
	out, err := o.store.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &o.store.cfg.Bucket, Key: &o.key, UploadId: &o.uploadID, IfNoneMatch: ifNoneMatch, IfMatch: ifMatch,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: o.completed},
	}, once, o.store.bounded("CompleteMultipartUpload", limit))
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

// abortLimit bounds all tries of an abort together.
const abortLimit = time.Minute

// Abort ends the object without making it visible and removes what has been sent. It does nothing
// after a successful Complete, it may be called again, and it does not depend on ctx being alive:
// it takes only the values from it and has a time limit of its own.
//
// When it fails the upload may remain; AbortStale finds it again.
func (o *Object) Abort(ctx context.Context) error {
	if o.published {
		return nil
	}
	o.cancel(errEnded)
	if !o.ended {
		// Waited for first: a part that arrives after the abort would be kept, and paid for.
		_ = o.end() // whatever failed before has been reported, and the object is given up anyway
	}
	// Forgotten even if the abort fails: AbortStale takes care of it from here on.
	o.store.forget(o.uploadID)
	ctx, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), abortLimit, errors.New("aborting the upload timed out"))
	defer stop()
	return o.store.abort(ctx, o.key, o.uploadID)
}
