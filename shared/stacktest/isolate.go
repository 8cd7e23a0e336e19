package stacktest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pharmavida/ingesta/deploy/rabbitmq"
)

// callTimeout bounds each call that sets a test's surroundings up or removes them.
const callTimeout = 30 * time.Second

// Isolate makes a virtual host on the broker and a bucket in S3 for the test alone, chooses a
// prefix for its keys in Redis, and returns the settings that lead there, for Load. Host and
// bucket are removed when the test ends; the keys in Redis expire. See VHost and Bucket.
func Isolate(t testing.TB) []string {
	t.Helper()
	name := VHost(t)
	return []string{"RABBITMQ_VHOST=" + name, "INGESTA_REDIS_PREFIX=" + name, "AWS_BUCKET_NAME=" + Bucket(t)}
}

// S3 returns a client of the stack's S3 server that shares nothing with the product's.
func S3(t testing.TB) *s3.Client {
	t.Helper()
	key, secret := Env(t, "AWS_ACCESS_KEY_ID"), Env(t, "AWS_SECRET_ACCESS_KEY")
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(Env(t, "AWS_ENDPOINT_URL")), Region: Env(t, "AWS_REGION"), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		// Leaves no idle connection for a leak check to find.
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

// Bucket makes a bucket in S3 for the test alone and returns its name. It is removed, with all
// that is in it, when the test ends. The stack's S3 credentials are put into the process
// environment, where the SDK looks for them.
func Bucket(t testing.TB) (name string) {
	t.Helper()
	name = unique()
	env := t.(interface{ Setenv(name, value string) })
	for _, variable := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"} {
		env.Setenv(variable, Env(t, variable))
	}
	client := S3(t)
	bounded(t, "creating the test's bucket", func(ctx context.Context) error {
		_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
		return err
	})
	t.Cleanup(func() {
		bounded(t, "removing the test's bucket", func(ctx context.Context) error { return removeBucket(ctx, client, name) })
	})
	return name
}

// removeBucket removes the bucket with all that is in it.
func removeBucket(ctx context.Context, client *s3.Client, name string) error {
	objects := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &name})
	for objects.HasMorePages() {
		page, err := objects.NextPage(ctx)
		if err != nil {
			return err
		}
		var all []types.ObjectIdentifier
		for _, o := range page.Contents {
			all = append(all, types.ObjectIdentifier{Key: o.Key})
		}
		if len(all) == 0 {
			continue
		}
		if _, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &name, Delete: &types.Delete{Objects: all}}); err != nil {
			return err
		}
	}
	uploads := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{Bucket: &name})
	for uploads.HasMorePages() {
		page, err := uploads.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			if _, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &name, Key: u.Key, UploadId: u.UploadId}); err != nil {
				return err
			}
		}
	}
	_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name})
	return err
}

// VHost makes a virtual host on the broker for the test alone and returns its name. It is removed
// when the test ends.
func VHost(t testing.TB) (name string) {
	t.Helper()
	name = unique()
	Management(t, http.MethodPut, "/api/vhosts/"+name, map[string]any{}, nil)
	t.Cleanup(func() { Management(t, http.MethodDelete, "/api/vhosts/"+name, nil, nil) })
	Management(t, http.MethodPut, "/api/permissions/"+name+"/"+url.PathEscape(Env(t, "RABBITMQ_USER")),
		map[string]string{"configure": ".*", "write": ".*", "read": ".*"}, nil)
	return name
}

// Policies puts the product's policies on a virtual host. Without them newer brokers drop a dead
// letter that was read twenty times.
func Policies(t testing.TB, vhost string) {
	t.Helper()
	var definitions struct{ Policies []map[string]any }
	if err := json.Unmarshal(rabbitmq.Definitions(), &definitions); err != nil {
		t.Fatalf("reading the product's definitions: %v", err)
	}
	for _, p := range definitions.Policies {
		p["vhost"] = vhost
		Management(t, http.MethodPut, "/api/policies/"+url.PathEscape(vhost)+"/"+p["name"].(string), p, nil)
	}
}

// unique returns a name that servers of all kinds take.
func unique() string { return "test-" + strings.ToLower(rand.Text()[:12]) }

// Management calls the broker's management interface, with body and answer as JSON; either may be
// nil. What is gone already is no failure of a DELETE.
func Management(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	address := "http://" + net.JoinHostPort(Env(t, "RABBITMQ_HOST"), Env(t, "RABBITMQ_MANAGEMENT_PORT"))
	bounded(t, method+" "+path+" of the broker's management interface", func(ctx context.Context) error {
		payload, err := json.Marshal(body)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, method, address+path, bytes.NewReader(payload))
		if err != nil {
			return err
		}
		request.SetBasicAuth(Env(t, "RABBITMQ_USER"), Env(t, "RABBITMQ_PASSWORD"))
		request.Header.Set("Content-Type", "application/json")
		request.Close = true // leaves no idle connection for a leak check to find
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		said, err := io.ReadAll(response.Body)
		switch {
		case err != nil:
			return err
		case response.StatusCode == http.StatusNotFound && method == http.MethodDelete:
			return nil
		case response.StatusCode >= http.StatusBadRequest:
			return errors.New(response.Status + ": " + string(said))
		case answer == nil:
			return nil
		default:
			return json.Unmarshal(said, answer)
		}
	})
}

// bounded runs f with a timeout and fails the test when f fails.
func bounded(t testing.TB, doing string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), callTimeout, errors.New(doing+" timed out"))
	defer cancel()
	if err := f(ctx); err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}
