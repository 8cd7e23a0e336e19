package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

const mib = 1 << 20

// lake is a Store on a bucket of the test's own, and an independent client to look behind it.
type lake struct {
	*Store
	t   testing.TB
	raw *s3.Client
}

// newLake makes a bucket on the local stack's S3 server and removes it after the test. adjust
// may change the configuration of the Store before it is made.
func newLake(t testing.TB, adjust ...func(*Config)) lake {
	t.Helper()
	cfg := Config{
		Bucket: stacktest.Bucket(t), Region: stacktest.Env(t, "AWS_REGION"),
		Endpoint: stacktest.Env(t, "AWS_ENDPOINT_URL"),
		PartSize: minPartSize, Parallel: 3, Memory: 4 * minPartSize, Timeout: 20 * time.Second, Attempts: 3,
	}
	for _, f := range adjust {
		f(&cfg)
	}
	store, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		store.Close()
		if store.buffers.mapped != 0 || store.buffers.users != 0 {
			t.Errorf("after the test %d bytes of part buffers are held by %d objects; an idle store holds none", store.buffers.mapped, store.buffers.users)
		}
	})
	return lake{Store: store, t: t, raw: stacktest.S3(t)}
}

// unguarded is a fence that always holds.
func unguarded(context.Context) error { return nil }

// owner returns the attempt of job with this fence.
func owner(job string, fence int64) Owner { return Owner{JobID: job, Fence: fence} }

// create begins an object and aborts it at the end of the test unless it was completed.
func (l lake) create(key string, o Owner) *Object {
	l.t.Helper()
	object, err := l.Create(l.t.Context(), key, o, unguarded)
	if err != nil {
		l.t.Fatalf("creating %s: %v", key, err)
	}
	l.t.Cleanup(func() {
		if err := object.Abort(context.Background()); err != nil {
			l.t.Errorf("aborting %s at the end of the test: %v", key, err)
		}
	})
	return object
}

// write puts a whole object at key.
func (l lake) write(key string, o Owner, content []byte) (Receipt, error) {
	l.t.Helper()
	object := l.create(key, o)
	if _, err := object.Write(content); err != nil {
		l.t.Fatalf("writing %s: %v", key, err)
	}
	return object.Complete(l.t.Context())
}

// mustWrite is write where nothing stands in the way.
func (l lake) mustWrite(key string, o Owner, content []byte) Receipt {
	l.t.Helper()
	receipt, err := l.write(key, o, content)
	if err != nil {
		l.t.Fatalf("completing %s: %v", key, err)
	}
	return receipt
}

// put places an object that is not of this system.
func (l lake) put(key string, metadata map[string]string, content string) {
	l.t.Helper()
	_, err := l.raw.PutObject(l.t.Context(), &s3.PutObjectInput{
		Bucket: &l.cfg.Bucket, Key: &key, Metadata: metadata, Body: strings.NewReader(content),
	})
	if err != nil {
		l.t.Fatalf("putting %s: %v", key, err)
	}
}

// read returns what independent eyes see at key, and whether anything is there.
func (l lake) read(key string) ([]byte, bool) {
	l.t.Helper()
	out, err := l.raw.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &l.cfg.Bucket, Key: &key})
	if status(err) == http.StatusNotFound {
		return nil, false
	}
	if err != nil {
		l.t.Fatalf("reading %s: %v", key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		l.t.Fatalf("reading %s: %v", key, err)
	}
	return body, true
}

// uploads returns the keys of all multipart uploads of the bucket.
func (l lake) uploads() []string {
	l.t.Helper()
	out, err := l.raw.ListMultipartUploads(context.Background(), &s3.ListMultipartUploadsInput{Bucket: &l.cfg.Bucket})
	if err != nil {
		l.t.Fatalf("listing uploads: %v", err)
	}
	var keys []string
	for _, u := range out.Uploads {
		keys = append(keys, aws.ToString(u.Key))
	}
	return keys
}

// wantNothing fails the test if there is an object at key or any upload in the bucket.
func (l lake) wantNothing(key string) {
	l.t.Helper()
	if body, ok := l.read(key); ok {
		l.t.Errorf("an object of %d bytes is at %s; want none", len(body), key)
	}
	if uploads := l.uploads(); len(uploads) > 0 {
		l.t.Errorf("uploads are left at %q; want none", uploads)
	}
}

// wantObject fails the test unless exactly this content is at key, with the receipt's sums, and
// no upload is left.
func (l lake) wantObject(key string, content []byte, r Receipt) {
	l.t.Helper()
	body, ok := l.read(key)
	if !ok {
		l.t.Fatalf("no object is at %s", key)
	}
	if !bytes.Equal(body, content) {
		l.t.Errorf("%s holds %d bytes that differ from the %d written", key, len(body), len(content))
	}
	sum := sha256.Sum256(body)
	if got, want := r.SHA256, hex.EncodeToString(sum[:]); got != want {
		l.t.Errorf("the receipt's SHA-256 is %s; the object's is %s", got, want)
	}
	if r.Bytes != int64(len(body)) {
		l.t.Errorf("the receipt says %d bytes; the object has %d", r.Bytes, len(body))
	}
	if uploads := l.uploads(); len(uploads) > 0 {
		l.t.Errorf("uploads are left at %q; want none", uploads)
	}
}

// wantCode fails the test unless err is a failure of this code and transience.
func wantCode(t testing.TB, err error, code ingest.Code, transient bool) {
	t.Helper()
	failure, ok := errors.AsType[*ingest.Error](err)
	if !ok {
		t.Fatalf("error is %v; want an ingest.Error of code %s", err, code)
	}
	if failure.Code != code || failure.Transient != transient {
		t.Errorf("error is %s (transient: %v): %v; want %s (transient: %v)", failure.Code, failure.Transient, err, code, transient)
	}
}

// pattern returns n bytes that differ from part to part.
func pattern(n int) []byte {
	out := make([]byte, n)
	x := uint32(2463534242)
	for i := range out {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = byte(x)
	}
	return out
}

// proxy stands between a Store and the S3 server.
type proxy struct {
	*httputil.ReverseProxy
	// before may answer a request itself by returning true.
	before atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	// after may change the server's answer, or lose it by returning an error.
	after atomic.Pointer[func(*http.Response) error]
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	target, err := url.Parse(stacktest.Env(t, "AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	p.ReverseProxy = &httputil.ReverseProxy{
		// The host stays the client's, which has signed it.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		},
		Transport: transport,
		ModifyResponse: func(r *http.Response) error {
			if f := p.after.Load(); f != nil { //nolint:bodyclose // the proxy closes it
				return (*f)(r)
			}
			return nil
		},
		// A lost answer is a connection that ends without one.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := p.before.Load(); f != nil && (*f)(w, r) {
		return
	}
	p.ReverseProxy.ServeHTTP(w, r)
}

// through makes a Store talk to the server through p.
func (p *proxy) through(t testing.TB) func(*Config) {
	t.Helper()
	address := serve(t, p)
	return func(c *Config) { c.Endpoint = address }
}

// isComplete reports whether r completes a multipart upload.
func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

// isPart reports whether r uploads a part.
func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}
