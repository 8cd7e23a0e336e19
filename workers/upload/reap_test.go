package upload

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// begin begins uploads as other processes do.
func (l lake) begin(keys ...string) {
	l.t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for _, k := range keys {
		group.Go(func() error {
			_, err := l.raw.CreateMultipartUpload(l.t.Context(), &s3.CreateMultipartUploadInput{Bucket: &l.cfg.Bucket, Key: &k})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.t.Fatal(err)
	}
}

// stale returns the keys of stale uploads.
func (l lake) stale(prefix string, age time.Duration, ours func(string) bool) []string {
	l.t.Helper()
	uploads, err := l.StaleUploads(l.t.Context(), prefix, age, ours)
	if err != nil {
		l.t.Fatal(err)
	}
	keys := []string{}
	for _, u := range uploads {
		if u.Age < age {
			l.t.Errorf("the upload at %s is %v old, want %v at least", u.Key, u.Age, age)
		}
		keys = append(keys, u.Key)
	}
	slices.Sort(keys)
	return keys
}

func TestStaleUploads(t *testing.T) {
	l := newLake(t)
	recognizes := ingest.DefaultKeyTemplate.Recognizer(ingest.MySQL)
	const left, another = "mysql/compras_20250102_153045.csv", "mysql/users_20250102_153045_2.csv"
	l.begin(left, another, "mysql/notes.csv", "postgresql/productos_20250102_153045.csv", "other")
	l.create(key, owner("job", 1)) // this process is writing it
	want := []string{left, another}
	// The server tells its time in seconds.
	stacktest.Eventually(t, "both are older than 10 ms", func() bool { return len(l.stale("mysql/", 10*time.Millisecond, recognizes)) >= 2 })
	for _, prefix := range []string{"mysql/", ""} {
		if got := l.stale(prefix, 10*time.Millisecond, recognizes); !slices.Equal(got, want) {
			t.Errorf("under %q: stale uploads are at %q, want %q", prefix, got, want)
		}
	}
	if got := l.stale("mysql/", time.Hour, recognizes); len(got) > 0 {
		t.Errorf("stale uploads are at %q, want none that is an hour old", got)
	}
	if got := l.stale("mysql/compras", 0, recognizes); !slices.Equal(got, []string{left}) {
		t.Errorf("under mysql/compras: stale uploads are at %q, want %q", got, left)
	}

	uploads, err := l.StaleUploads(t.Context(), "mysql/", 0, recognizes)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range slices.Concat(uploads, uploads) {
		if err := l.AbortUpload(t.Context(), u); err != nil {
			t.Errorf("aborting %s: %v", u.Key, err)
		}
	}
	kept := l.uploads()
	slices.Sort(kept)
	if want := []string{"mysql/notes.csv", key, "other", "postgresql/productos_20250102_153045.csv"}; !slices.Equal(kept, want) {
		t.Errorf("the uploads left are at %q, want %q", kept, want)
	}
}

// More uploads than S3 lists at once.
func TestStaleUploadsOfManyPages(t *testing.T) {
	l := newLake(t)
	keys := make([]string, 1005)
	for i := range keys {
		keys[i] = fmt.Sprintf("mysql/o%04d", i)
	}
	l.begin(keys...)
	all := func(string) bool { return true }
	if got := l.stale("mysql/", -time.Minute, all); !slices.Equal(got, keys) {
		t.Errorf("%d stale uploads were found, want %d", len(got), len(keys))
	}
	uploads, err := l.StaleUploads(t.Context(), "mysql/", -time.Minute, all)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(8)
	for _, u := range uploads {
		group.Go(func() error { return l.AbortUpload(context.WithoutCancel(t.Context()), u) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// The age is that of the server's clock, whatever time it is here.
func TestStaleUploadsGoByTheServersClock(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	l.begin(key)
	ahead := func(r *http.Response) error {
		r.Header.Set("Date", time.Now().Add(48*time.Hour).UTC().Format(http.TimeFormat))
		return nil
	}
	p.after.Store(&ahead)
	if got := l.stale("mysql/", 47*time.Hour, func(k string) bool { return k == key }); len(got) != 1 {
		t.Errorf("stale uploads are at %q, want the one that is two days old by the server's clock", got)
	}
}
