package presign

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// download asks an address as a browser does, without credentials.
func download(t *testing.T, address string) (status int, header http.Header, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true // leaves no idle connection for the leak check to find
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, body
}

// signer returns a signer for the environment, which must be fit for one.
func signer(t *testing.T, environ ...string) *Signer {
	t.Helper()
	var cfg Config
	if _, err := config.Load(&cfg, environ); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lake makes a bucket with one object, and a signer for it.
func lake(t *testing.T, environ ...string) (s *Signer, location string, content []byte) {
	t.Helper()
	bucket, key := stacktest.Bucket(t), "mysql/users_20250102_153045.csv"
	content = []byte("id,nombre\n1,\"Núñez, \"\"Ñ\"\"\"\n2,\n3,\"\"\n")
	input := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)}
	if _, err := stacktest.S3(t).PutObject(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	settings := []string{"AWS_BUCKET_NAME=" + bucket, "AWS_REGION=" + stacktest.Env(t, "AWS_REGION"), "AWS_ENDPOINT_URL=" + stacktest.Env(t, "AWS_ENDPOINT_URL")}
	return signer(t, append(settings, environ...)...), "s3://" + bucket + "/" + key, content
}

func TestDownload(t *testing.T) {
	s, location, content := lake(t)
	address, err := s.URL(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	status, header, body := download(t, address)
	if status != http.StatusOK || !bytes.Equal(body, content) {
		t.Errorf("got %d with %q, want the object's bytes", status, body)
	}
	if got := header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		t.Errorf("the content type is %q", got)
	}
	disposition, parameters, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	if err != nil || disposition != "attachment" || parameters["filename"] != path.Base(location) {
		t.Errorf("the disposition is %q, want an attachment called %s", header.Get("Content-Disposition"), path.Base(location))
	}
}

// An address opens one object, as it was signed.
func TestChangedAddressesAreRefused(t *testing.T) {
	s, location, _ := lake(t)
	address, err := s.URL(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	for what, changed := range map[string]string{
		"another key":     strings.Replace(address, "users_20250102", "users_20250103", 1),
		"a longer life":   strings.Replace(address, "X-Amz-Expires=300", "X-Amz-Expires=301", 1),
		"another name":    strings.Replace(address, "filename%3Dusers", "filename%3Dother", 1),
		"no signature":    strings.Split(address, "?")[0],
		"another content": strings.Replace(address, "text%2Fcsv", "text%2Fhtml", 1),
	} {
		if changed == address {
			t.Fatalf("%s: the test does not change %s", what, address)
		}
		if status, _, _ := download(t, changed); status != http.StatusForbidden {
			t.Errorf("with %s S3 answers %d, want 403", what, status)
		}
	}
}

// A browser sends no headers of ours: none may be part of what is signed but the host.
func TestOnlyTheHostIsSigned(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for want, environ := range map[string][]string{
		"https://lake.s3.us-east-1.amazonaws.com/a/b.csv": nil,
		"https://lake.s3.eu-west-1.amazonaws.com/a/b.csv": {"AWS_REGION=eu-west-1"},
		"http://s3:7070/lake/a/b.csv":                     {"AWS_ENDPOINT_URL=http://s3:7070"},
		"https://files.example.com/lake/a/b.csv":          {"AWS_ENDPOINT_URL=http://s3:7070", "INGESTA_DOWNLOAD_ENDPOINT=https://files.example.com"},
		"https://lake.files.example.com/a/b.csv":          {"INGESTA_DOWNLOAD_ENDPOINT=https://files.example.com", "INGESTA_S3_PATH_STYLE=false"},
	} {
		address, err := signer(t, append(environ, "AWS_BUCKET_NAME=lake")...).URL(t.Context(), "s3://lake/a/b.csv")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Query().Get("X-Amz-SignedHeaders"); got != "host" {
			t.Errorf("signed headers are %q, want the host alone", got)
		}
		if u.RawQuery = ""; u.String() != want {
			t.Errorf("with %v the address is %s, want %s", environ, u, want)
		}
	}
}

func TestAddressesExpire(t *testing.T) {
	s, location, _ := lake(t, "INGESTA_DOWNLOAD_TTL=1s")
	address, err := s.URL(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "S3 refuses the address", func() bool {
		status, _, _ := download(t, address)
		return status == http.StatusForbidden
	})
}

func TestOtherObjectsAreRefused(t *testing.T) {
	s := signer(t, "AWS_BUCKET_NAME=lake")
	for _, location := range []string{"", "s3://", "s3://lake", "s3://lake/", "s3://lake2/a.csv", "s3://other/lake/a.csv", "https://lake/a.csv", "lake/a.csv", "S3://lake/a.csv"} {
		_, err := s.URL(t.Context(), location)
		if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Reason != Elsewhere {
			t.Errorf("%q: %v, want a refusal", location, err)
		}
	}
}

func TestWithoutBucket(t *testing.T) {
	s := signer(t)
	_, err := s.URL(t.Context(), "s3://lake/a.csv")
	if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Reason != Unconfigured {
		t.Errorf("got %v, want no downloads", err)
	}
}

// onlyFrom leaves the SDK one source of credentials, an address.
func onlyFrom(t *testing.T, address string) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "s3cret-of-the-provider")
	if _, err := os.Stat(none); err == nil {
		t.Fatalf("%s is there", none)
	}
}

func TestWithoutCredentials(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"code":"no","message":"not today"}`, http.StatusForbidden)
	}))
	t.Cleanup(provider.Close)
	onlyFrom(t, provider.URL)
	_, err := signer(t, "AWS_BUCKET_NAME=lake").URL(t.Context(), "s3://lake/a.csv")
	if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Reason != NoCredentials {
		t.Errorf("got %v, want that there are no credentials", err)
	}
	if err != nil && strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error shows a secret: %v", err)
	}
}

// Who has gone away hears of that, and not that the gateway has no credentials.
func TestCancelled(t *testing.T) {
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-answer // the SDK goes on asking for those who come later
		http.Error(w, "{}", http.StatusForbidden)
	}))
	t.Cleanup(provider.Close)
	t.Cleanup(func() { close(answer) })
	onlyFrom(t, provider.URL)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client has gone")
	go func() {
		<-asked
		cancel(gone)
	}()
	if _, err := signer(t, "AWS_BUCKET_NAME=lake").URL(ctx, "s3://lake/a.csv"); !errors.Is(err, gone) {
		t.Errorf("got %v, want the cause of the end", err)
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct{ setting, want string }{
		{"INGESTA_DOWNLOAD_TTL=1s", ""},
		{"INGESTA_DOWNLOAD_TTL=12h", ""},
		{"INGESTA_DOWNLOAD_TTL=0s", "INGESTA_DOWNLOAD_TTL (0s) must lie between 1s and 12h0m0s"},
		{"INGESTA_DOWNLOAD_TTL=12h1s", "INGESTA_DOWNLOAD_TTL"},
		{"INGESTA_DOWNLOAD_ENDPOINT=https://files.example.com", ""},
		{"INGESTA_DOWNLOAD_ENDPOINT=http://127.0.0.1:7070", ""},
		{"INGESTA_DOWNLOAD_ENDPOINT=files.example.com", "INGESTA_DOWNLOAD_ENDPOINT must be an address"},
		{"INGESTA_DOWNLOAD_ENDPOINT=https://user:pa55@files.example.com", "INGESTA_DOWNLOAD_ENDPOINT must be an address without user"},
	} {
		var cfg Config
		_, err := config.Load(&cfg, []string{tt.setting})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.setting, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "pa55") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}
