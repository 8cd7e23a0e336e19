package upload

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// wantEmpty fails the test if anything is in the bucket.
func (l lake) wantEmpty() {
	l.t.Helper()
	listed, err := l.raw.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &l.cfg.Bucket})
	if err != nil {
		l.t.Fatalf("listing the bucket: %v", err)
	}
	for _, o := range listed.Contents {
		l.t.Errorf("%s is in the bucket, want nothing left by the probe", aws.ToString(o.Key))
	}
}

// wantReason fails the test unless err has this reason and no other.
func wantReason(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("probing says %v, want %v", err, want)
	}
	for _, other := range []error{ErrUnreachable, ErrNoCredentials, ErrCredentials, ErrAccessDenied, ErrNoBucket} {
		if other != want && errors.Is(err, other) { //nolint:errorlint // compares sentinels
			t.Errorf("probing says %v as well as %v, want one reason", other, want)
		}
	}
	if _, ok := errors.AsType[*ingest.Error](err); !ok {
		t.Errorf("probing says %v, want an ingest.Error in it", err)
	}
}

func TestProbe(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	var requests []string
	note := func(_ http.ResponseWriter, r *http.Request) bool {
		requests = append(requests, r.Method)
		if r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "*" {
			t.Error("the object is written without the condition that all objects are written under")
		}
		if !strings.Contains(r.URL.Path, "/_check/") {
			t.Errorf("the path is %s, want one that readers pass over", r.URL.Path)
		}
		return false
	}
	p.before.Store(&note)
	if err := l.Probe(t.Context()); err != nil {
		t.Errorf("probing a bucket that works: %v", err)
	}
	if got := strings.Join(requests, " "); got != "PUT GET DELETE" {
		t.Errorf("the requests were %s, want PUT GET DELETE", got)
	}
	l.wantEmpty()
}

// deny answers requests of the method as S3 does to credentials that do not allow them.
func deny(method string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
		return true
	}
}

func TestProbeSaysWhatIsWrong(t *testing.T) {
	// again returns a store made anew, which looks at the environment again.
	again := func(t *testing.T, l lake) *Store {
		t.Helper()
		store, err := New(t.Context(), l.cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		return store
	}
	t.Run("closed port", func(t *testing.T) {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		listener.Close()
		began := time.Now()
		l := newLake(t, func(c *Config) { c.Endpoint, c.Attempts = "http://"+address, 8 })
		wantReason(t, l.Probe(t.Context()), ErrUnreachable)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("probing took %v, want one try", took)
		}
	})
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		t.Run("silence to "+method, func(t *testing.T) {
			p := newProxy(t)
			l := newLake(t, p.through(t), func(c *Config) { c.Timeout = 200 * time.Millisecond })
			stall := func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != method {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				return true
			}
			p.before.Store(&stall)
			wantReason(t, l.Probe(t.Context()), ErrUnreachable)
			l.wantEmpty()
		})
	}
	t.Run("lost answer", func(t *testing.T) {
		p := newProxy(t)
		l := newLake(t, p.through(t))
		lose := func(r *http.Response) error {
			if r.Request.Method == http.MethodPut {
				return errors.New("lost")
			}
			return nil
		}
		p.after.Store(&lose)
		wantReason(t, l.Probe(t.Context()), ErrUnreachable)
		l.wantEmpty()
	})
	t.Run("missing bucket", func(t *testing.T) {
		l := newLake(t, func(c *Config) { c.Bucket = "no-such-bucket-here" })
		wantReason(t, l.Probe(t.Context()), ErrNoBucket)
	})
	t.Run("unknown key", func(t *testing.T) {
		l := newLake(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
		wantReason(t, again(t, l).Probe(t.Context()), ErrCredentials)
	})
	t.Run("wrong secret", func(t *testing.T) {
		l := newLake(t)
		t.Setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
		err := again(t, l).Probe(t.Context())
		wantReason(t, err, ErrCredentials)
		if err != nil && strings.Contains(err.Error(), "not-the-secret") {
			t.Errorf("the error shows the secret: %v", err)
		}
	})
	t.Run("no credentials", func(t *testing.T) {
		l := newLake(t)
		for name, value := range map[string]string{
			"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
			"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CONFIG_FILE": "/dev/null",
		} {
			t.Setenv(name, value)
		}
		wantReason(t, again(t, l).Probe(t.Context()), ErrNoCredentials)
	})
	t.Run("writing denied", func(t *testing.T) {
		p := newProxy(t)
		l := newLake(t, p.through(t))
		refuse := deny(http.MethodPut)
		p.before.Store(&refuse)
		wantReason(t, l.Probe(t.Context()), ErrAccessDenied)
	})
	t.Run("reading denied", func(t *testing.T) {
		p := newProxy(t)
		l := newLake(t, p.through(t))
		refuse := deny(http.MethodGet)
		p.before.Store(&refuse)
		wantReason(t, l.Probe(t.Context()), ErrAccessDenied)
		l.wantEmpty()
	})
	t.Run("deleting denied", func(t *testing.T) {
		p := newProxy(t)
		l := newLake(t, p.through(t))
		refuse := deny(http.MethodDelete)
		p.before.Store(&refuse)
		err := l.Probe(t.Context())
		wantReason(t, err, ErrAccessDenied)
		if err == nil || !strings.Contains(err.Error(), "_check/") {
			t.Errorf("probing says %v, want the key of the object that is left", err)
		}
	})
	t.Run("another object", func(t *testing.T) {
		p := newProxy(t)
		l := newLake(t, p.through(t))
		other := func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, "something else")
			}
			return r.Method == http.MethodGet
		}
		p.before.Store(&other)
		wantCode(t, l.Probe(t.Context()), ingest.StorageDenied, false)
		l.wantEmpty()
	})
}

// A caller who gives up in the middle leaves nothing either, and is not told of S3.
func TestProbeOfACallerWhoGaveUp(t *testing.T) {
	p := newProxy(t)
	l := newLake(t, p.through(t))
	ctx, cancel := context.WithCancel(t.Context())
	written := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			cancel()
			<-r.Context().Done()
		}
		return r.Method == http.MethodGet
	}
	p.before.Store(&written)
	err := l.Probe(ctx)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("probing says %v, want that it was cancelled and nothing of S3", err)
	}
	l.wantEmpty()
}
