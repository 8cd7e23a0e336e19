package upload

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/ingest"
)

const key = "mysql/users_20250102_153045.csv"

func TestAnOlderAttemptIsReplaced(t *testing.T) {
	l := newLake(t)
	l.mustWrite(key, owner("job", 1), []byte("old"))
	receipt := l.mustWrite(key, owner("job", 2), []byte("new"))
	l.wantObject(key, []byte("new"), receipt)
}

func TestAnOlderAttemptIsReplacedWithOneTry(t *testing.T) {
	l := newLake(t, func(c *Config) { c.Attempts = 1 })
	l.mustWrite(key, owner("job", 1), []byte("old"))
	receipt := l.mustWrite(key, owner("job", 2), []byte("new"))
	l.wantObject(key, []byte("new"), receipt)
}

func TestTheSameAttemptMayReplaceItsOwnObject(t *testing.T) {
	// The dataset was complete but its commit failed, and the attempt reads it again: the
	// receipt must be of what stands there, not of what stood there with the same fence.
	l := newLake(t)
	l.mustWrite(key, owner("job", 1), []byte("one"))
	receipt := l.mustWrite(key, owner("job", 1), []byte("two"))
	l.wantObject(key, []byte("two"), receipt)
}

func TestALaterAttemptIsNeverReplaced(t *testing.T) {
	l := newLake(t)
	later := l.mustWrite(key, owner("job", 2), []byte("later"))
	object := l.create(key, owner("job", 1))
	_, err := object.Complete(t.Context())
	wantCode(t, err, ingest.LeaseLost, false)
	if err := object.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantObject(key, []byte("later"), later)
}

func TestAForeignObjectIsNeverReplaced(t *testing.T) {
	for name, metadata := range map[string]map[string]string{
		"without metadata":         nil,
		"of another job":           {metaJob: "other", metaFence: "1"},
		"with an unreadable fence": {metaJob: "job", metaFence: "one"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			l.put(key, metadata, "foreign")
			object := l.create(key, owner("job", 5))
			_, err := object.Complete(t.Context())
			wantCode(t, err, ingest.ObjectConflict, false)
			if err := object.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			if body, _ := l.read(key); string(body) != "foreign" {
				t.Errorf("the foreign object holds %q now", body)
			}
			if uploads := l.uploads(); len(uploads) > 0 {
				t.Errorf("uploads are left at %q; want none", uploads)
			}
		})
	}
}

func TestALostReplyOfCompleteIsASuccess(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	var completions atomic.Int32
	lose := func(r *http.Response) error {
		if isComplete(r.Request) && completions.Add(1) == 1 {
			return errors.New("lost")
		}
		return nil
	}
	p.after.Store(&lose)
	receipt := l.mustWrite(key, owner("job", 1), []byte("content"))
	l.wantObject(key, []byte("content"), receipt)
	if n := completions.Load(); n != 1 {
		t.Errorf("the upload was completed %d times; want HEAD to settle it after the first", n)
	}
}

func TestALostReplyOfCreateLeavesNoUpload(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	var creations atomic.Int32
	lose := func(r *http.Response) error {
		if r.Request.URL.Query().Has("uploads") && r.Request.Method == http.MethodPost && creations.Add(1) == 1 {
			return errors.New("the reply gets lost")
		}
		return nil
	}
	p.after.Store(&lose)
	receipt := l.mustWrite(key, owner("job", 1), []byte("content"))
	if n := creations.Load(); n != 2 {
		t.Errorf("S3 was asked %d times to begin an upload; want 2", n)
	}
	l.wantObject(key, []byte("content"), receipt)
	if uploads := l.uploads(); len(uploads) > 0 {
		t.Errorf("uploads are left at %q; want none", uploads)
	}
}

func TestAFailedCompleteIsTriedAgainUnderTheGuard(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	var completions, guards atomic.Int32
	fail := func(w http.ResponseWriter, r *http.Request) bool {
		if !isComplete(r) || completions.Add(1) > 1 {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	p.before.Store(&fail)
	object, err := l.Create(t.Context(), key, owner("job", 1), func(context.Context) error { guards.Add(1); return nil })
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := object.Complete(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.wantObject(key, nil, receipt)
	if guards.Load() != completions.Load() || guards.Load() != 2 {
		t.Errorf("the guard was asked %d times before %d tries; want once before each of two", guards.Load(), completions.Load())
	}
}

func TestAnAbortedUploadCannotComplete(t *testing.T) {
	l := newLake(t)
	t.Run("the guard knows why", func(t *testing.T) {
		lost := ingest.Permanent(ingest.LeaseLost, nil, "gone")
		var holds atomic.Bool
		holds.Store(true)
		object, err := l.Create(t.Context(), key, owner("job", 1), func(context.Context) error {
			if holds.Swap(false) {
				return nil
			}
			return lost
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.AbortStale(t.Context(), key, owner("job", 2)); err != nil {
			t.Fatal(err)
		}
		if _, err := object.Complete(t.Context()); !isAny(err, lost, ingest.StorageUnavailable) {
			t.Errorf("Complete returned %v; want the guard's error", err)
		}
		if err := object.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("nobody knows why", func(t *testing.T) {
		object := l.create(key, owner("job", 1))
		if _, err := object.Write(pattern(10)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.raw.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &l.cfg.Bucket, Key: &object.key, UploadId: &object.uploadID}); err != nil {
			t.Fatal(err)
		}
		_, err := object.Complete(t.Context())
		wantCode(t, err, ingest.StorageUnavailable, true)
	})
	l.wantNothing(key)
}

// isAny reports whether err is target, or a failure of code: a part that comes after its upload
// was aborted fails before the guard is asked.
func isAny(err, target error, code ingest.Code) bool {
	return errors.Is(err, target) || ingest.AsError(err).Code == code
}

func TestAServerWithoutConditionsIsNamed(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	unknown := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("If-None-Match") == "" {
			return false
		}
		w.WriteHeader(http.StatusNotImplemented)
		_, _ = io.WriteString(w, `<Error><Code>NotImplemented</Code></Error>`)
		return true
	}
	p.before.Store(&unknown)
	object := l.create(key, owner("job", 1))
	_, err := object.Complete(t.Context())
	wantCode(t, err, ingest.StorageDenied, false)
}

func TestAbortStaleTouchesOnlyItsKey(t *testing.T) {
	l := newLake(t)
	begin := func(key string) {
		t.Helper()
		if _, err := l.raw.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &l.cfg.Bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	begin(key)
	begin(key)
	begin(key + "_2")
	begin("mysql/users")
	stale := l.create(key, owner("job", 1))
	mine := l.create(key, owner("job", 2))
	if err := l.AbortStale(t.Context(), key, owner("job", 2)); err != nil {
		t.Fatal(err)
	}
	left := map[string]int{}
	for _, k := range l.uploads() {
		left[k]++
	}
	want := map[string]int{key: 1, key + "_2": 1, "mysql/users": 1}
	if fmt.Sprint(left) != fmt.Sprint(want) {
		t.Errorf("the uploads left are %v; want %v", left, want)
	}
	if _, err := stale.Complete(t.Context()); err == nil {
		t.Error("the stale attempt could complete its upload")
	}
	if _, err := mine.Complete(t.Context()); err != nil {
		t.Errorf("the owner could not complete its upload: %v", err)
	}
}

func TestDeleteRemovesOnlyTheJobsObject(t *testing.T) {
	l := newLake(t)
	l.mustWrite("mine", owner("job", 1), []byte("x"))
	l.mustWrite("later", owner("job", 9), []byte("x"))
	l.mustWrite("other", owner("other", 1), []byte("x"))
	l.put("foreign", nil, "x")

	for _, k := range []string{"mine", "mine", "absent", "other", "foreign"} {
		if err := l.Delete(t.Context(), k, owner("job", 2), unguarded); err != nil {
			t.Errorf("deleting %s: %v", k, err)
		}
	}
	wantCode(t, l.Delete(t.Context(), "later", owner("job", 2), unguarded), ingest.LeaseLost, false)
	for k, want := range map[string]bool{"mine": false, "later": true, "other": true, "foreign": true} {
		if _, ok := l.read(k); ok != want {
			t.Errorf("object %s is there: %v; want %v", k, ok, want)
		}
	}
}

// The bytes of two attempts may be the same, and so their ETags: it is the guard that knows.
func TestDeleteAsksTheGuardAfterItsLook(t *testing.T) {
	l := newLake(t)
	l.mustWrite(key, owner("job", 1), []byte("x"))
	took := errors.New("another attempt took the job over")
	err := l.Delete(t.Context(), key, owner("job", 1), func(context.Context) error {
		l.mustWrite(key, owner("job", 2), []byte("x"))
		return took
	})
	if _, ok := l.read(key); !errors.Is(err, took) || !ok {
		t.Errorf("deleting: %v, and the object of the later attempt is there: %v", err, ok)
	}
}

func TestDiscardRemovesEverythingOfAJob(t *testing.T) {
	l := newLake(t)
	l.mustWrite(key, owner("job", 1), []byte("x"))
	l.create(key, owner("job", 2))
	for range 2 {
		if err := l.Discard(t.Context(), key, EveryAttempt("job"), unguarded); err != nil {
			t.Fatal(err)
		}
	}
	l.wantNothing(key)
}

func TestManifestsAreFenced(t *testing.T) {
	l := newLake(t)
	k := ManifestKey(ingest.MySQL, "job")
	if k != "mysql/_manifests/job.json" {
		t.Errorf("the manifest's key is %s", k)
	}
	if _, found, err := l.GetManifest(t.Context(), k); found || err != nil {
		t.Fatalf("reading an absent manifest: found %v, %v; want neither", found, err)
	}
	for _, fence := range []int64{1, 1, 2} {
		if err := l.PutManifest(t.Context(), k, owner("job", fence), fmt.Appendf(nil, `{"fence":%d}`, fence)); err != nil {
			t.Fatalf("writing the manifest under fence %d: %v", fence, err)
		}
	}
	wantCode(t, l.PutManifest(t.Context(), k, owner("job", 1), []byte(`{}`)), ingest.LeaseLost, false)
	wantCode(t, l.PutManifest(t.Context(), k, owner("other", 9), []byte(`{}`)), ingest.ObjectConflict, false)
	body, found, err := l.GetManifest(t.Context(), k)
	if err != nil || !found || string(body) != `{"fence":2}` {
		t.Errorf("the manifest is %s (found %v, %v); want that of fence 2", body, found, err)
	}
}

func TestALostReplyOfPutManifestIsASuccess(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	var puts atomic.Int32
	lose := func(r *http.Response) error {
		if r.Request.Method == http.MethodPut && puts.Add(1) == 1 {
			return errors.New("lost")
		}
		return nil
	}
	p.after.Store(&lose)
	if err := l.PutManifest(t.Context(), "m.json", owner("job", 1), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if n := puts.Load(); n != 1 {
		t.Errorf("the manifest was written %d times; want once", n)
	}
}

func TestFailuresAreNamed(t *testing.T) {
	t.Run("missing bucket", func(t *testing.T) {
		l := newLake(t, func(c *Config) { c.Bucket = "no-such-bucket-here" })
		wantCode(t, l.Ping(t.Context()), ingest.StorageDenied, false)
		_, err := l.Create(t.Context(), key, owner("job", 1), unguarded)
		wantCode(t, err, ingest.StorageDenied, false)
		if got, want := ingest.AsError(err).Message, "bucket no-such-bucket-here does not exist"; got != want {
			t.Errorf("the message is %q; want %q", got, want)
		}
	})
	t.Run("wrong credentials", func(t *testing.T) {
		l := newLake(t)
		t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
		store, err := New(t.Context(), l.cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		wantCode(t, store.Ping(t.Context()), ingest.StorageDenied, false)
	})
	t.Run("no credentials", func(t *testing.T) {
		l := newLake(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
		t.Setenv("AWS_CONFIG_FILE", "/dev/null")
		store, err := New(t.Context(), l.cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		wantCode(t, store.Ping(t.Context()), ingest.StorageDenied, true)
	})
	t.Run("working", func(t *testing.T) {
		if err := newLake(t).Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestWithoutChecksums(t *testing.T) {
	t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
	l := newLake(t)
	content := pattern(minPartSize + 1)
	l.wantObject(key, content, l.mustWrite(key, owner("job", 1), content))
}

func TestOverTLSWithACABundle(t *testing.T) {
	// The checksum then travels behind the part instead of in its header.
	p := newProxy(t)
	server := httptest.NewTLSServer(p)
	t.Cleanup(server.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	var trailers atomic.Int32
	look := func(_ http.ResponseWriter, r *http.Request) bool {
		if isPart(r) && r.Header.Get("X-Amz-Trailer") == "x-amz-checksum-crc32" {
			trailers.Add(1)
		}
		return false
	}
	p.before.Store(&look)
	t.Run("trusted", func(t *testing.T) {
		t.Setenv("AWS_CA_BUNDLE", bundle)
		l := newLake(t, func(c *Config) { c.Endpoint = server.URL })
		content := pattern(minPartSize + 1)
		l.wantObject(key, content, l.mustWrite(key, owner("job", 1), content))
		if trailers.Load() != 2 {
			t.Errorf("%d parts had their checksum in the trailer; want both", trailers.Load())
		}
	})
	t.Run("not trusted", func(t *testing.T) {
		l := newLake(t, func(c *Config) { c.Endpoint, c.Attempts = server.URL, 1 })
		wantCode(t, l.Ping(t.Context()), ingest.StorageDenied, false)
	})
}
