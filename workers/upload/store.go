package upload

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
)

// dialTimeout bounds how long a connection to S3 may take to be made.
const dialTimeout = 10 * time.Second

// Store is a bucket that objects are written to. Its methods may be called from several
// goroutines at once.
type Store struct {
	cfg       Config
	client    *s3.Client
	retryer   *retry.Standard
	transport *http.Transport
	buffers   *buffers

	mu   sync.Mutex
	live map[string]Owner // uploads of this process by their id
}

// Owner is the attempt that writes an object: its job, and the fence of its claim.
type Owner struct {
	JobID string
	Fence int64
}

// EveryAttempt stands for all attempts of a job that nobody works on any more.
func EveryAttempt(jobID string) Owner { return Owner{JobID: jobID, Fence: math.MaxInt64} }

// New returns a store of the configured bucket. It reads the SDK's configuration (environment,
// shared files) and makes no connection.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring S3: %w", err)
	}
	// Created here and not by the SDK so that it serves the conditional writes too, whose tries
	// the Store counts itself.
	retryer := retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = cfg.Attempts })
	options := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}), // what it has to say comes back as an error too
		config.WithRetryer(func() aws.Retryer { return retryer }),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout })),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("reading the SDK's configuration: %w", err)
	}
	if loaded.Region == "" {
		loaded.Region = "us-east-1"
	}
	loaded.Credentials = credentials{loaded.Credentials}

	s := &Store{cfg: cfg, retryer: retryer, buffers: newBuffers(cfg.Memory), live: make(map[string]Owner)}
	// The transport is the one that the SDK prepared, with the CA bundle of AWS_CA_BUNDLE; the
	// client around it is ours so that Close reaches its idle connections.
	buildable, ok := loaded.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return nil, fmt.Errorf("reading the SDK's configuration: unexpected HTTP client %T", loaded.HTTPClient)
	}
	s.transport = buildable.GetTransport()
	s.client = s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.HTTPClient = &http.Client{
			Transport:     s.transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		o.UsePathStyle = o.BaseEndpoint != nil
		if cfg.PathStyle != nil {
			o.UsePathStyle = *cfg.PathStyle
		}
	})
	return s, nil
}

// Close drops idle connections. Objects must be completed or aborted before.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// Ping reports whether the bucket exists and the credentials may see it.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.cfg.Bucket}, s.bounded("HeadBucket", s.cfg.Timeout))
	if err != nil {
		return s.failure(ctx, "looking for the bucket", err)
	}
	return nil
}

// URL returns the address of the object, s3://bucket/key.
func (s *Store) URL(key string) string { return "s3://" + s.cfg.Bucket + "/" + key }

// Create begins an object at key. guard is called right before the object becomes visible, and
// its error keeps it from doing so: it is the place to check that the owner's fence still holds.
//
// The object lives under ctx: when ctx ends, its writes fail. The caller ends the object with
// Complete, or with Abort when anything went wrong; deferring Abort is always right.
func (s *Store) Create(ctx context.Context, key string, owner Owner, guard func(context.Context) error) (*Object, error) {
	stamp := newStamp(owner)
	created, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &key, ContentType: contentType(key), Metadata: stamp.metadata(),
		ChecksumAlgorithm: s.checksum(),
	}, s.bounded("CreateMultipartUpload", s.cfg.Timeout))
	if err != nil {
		return nil, s.failure(ctx, "creating the upload of "+key, err)
	}
	s.mu.Lock()
	s.live[*created.UploadId] = owner
	s.mu.Unlock()
	object := newObject(ctx, s, key, *created.UploadId, stamp, guard)
	// A try whose answer was lost may have begun an upload that nobody knows the id of.
	tries, _ := retry.GetAttemptResults(created.ResultMetadata)
	object.twin = len(tries.Results) > 1
	return object, nil
}

// checksum returns the algorithm by which each part is protected on its way and at rest: the
// SDK's default, unless it is told (AWS_REQUEST_CHECKSUM_CALCULATION=when_required) that the
// server does not know such things. An upload must be told the algorithm of its parts.
func (s *Store) checksum() types.ChecksumAlgorithm {
	if s.client.Options().RequestChecksumCalculation == aws.RequestChecksumCalculationWhenRequired {
		return ""
	}
	return types.ChecksumAlgorithmCrc32
}

// forget takes an upload off the list of those that this process is working on.
func (s *Store) forget(uploadID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, uploadID)
}

// isLive reports whether this process is working on the upload in owner's name.
func (s *Store) isLive(uploadID string, owner Owner) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, ok := s.live[uploadID]
	return ok && of == owner
}

// AbortStale aborts every upload at exactly this key except those that this process is working on
// in owner's name: what an earlier attempt left behind, and what an attempt that lost its lease
// still writes. Uploads of other keys that only begin with this one are left alone. It is safe to
// repeat.
func (s *Store) AbortStale(ctx context.Context, key string, owner Owner) error {
	pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.bounded("ListMultipartUploads", s.cfg.Timeout))
		if err != nil {
			return s.failure(ctx, "listing the uploads at "+key, err)
		}
		for _, u := range page.Uploads {
			if aws.ToString(u.Key) != key || s.isLive(aws.ToString(u.UploadId), owner) {
				continue
			}
			if err := s.abort(ctx, key, aws.ToString(u.UploadId)); err != nil {
				return err
			}
		}
	}
	return nil
}

// abort aborts one upload. One that is gone already counts as aborted.
func (s *Store) abort(ctx context.Context, key, uploadID string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &key, UploadId: &uploadID,
	}, s.bounded("AbortMultipartUpload", s.cfg.Timeout))
	if err != nil && status(err) != http.StatusNotFound {
		return s.failure(ctx, "aborting an upload of "+key, err)
	}
	return nil
}

// deleteTries bounds how often Delete looks again after the object changed under its hands.
const deleteTries = 3

// Delete removes the object at key if it is of owner's job and not of a later attempt; that one
// is LeaseLost. No object, and an object of anyone else, is left as it is and no error. It is
// safe to repeat. guard is asked between the look at the object and its deletion, and its error
// keeps the object. See the package's guarantees for a later attempt that completes after that.
func (s *Store) Delete(ctx context.Context, key string, owner Owner, guard func(context.Context) error) error {
	for try := 1; ; try++ {
		found, err := s.head(ctx, key)
		if err != nil {
			return err
		}
		switch found.against(newStamp(owner)) {
		case absent, foreign:
			return nil
		case newer:
			return leaseLost(key)
		}
		if err := guard(ctx); err != nil {
			return err
		}
		err = s.remove(ctx, key, found.etag)
		if err == nil {
			return nil
		}
		if changed := status(err) == http.StatusPreconditionFailed || status(err) == http.StatusConflict; !changed || try == deleteTries {
			return s.failure(ctx, "deleting "+key, err)
		}
	}
}

// Discard removes what owner's job has at key: every upload at exactly this key, of whatever job,
// but for those that this process is working on in owner's name (see AbortStale), and the object as
// Delete does. It is safe to repeat.
func (s *Store) Discard(ctx context.Context, key string, owner Owner, guard func(context.Context) error) error {
	if err := s.AbortStale(ctx, key, owner); err != nil {
		return err
	}
	return s.Delete(ctx, key, owner, guard)
}

// remove deletes the object if it still has this ETag. A server that does not know conditional
// deletes says so, and is asked without the condition.
func (s *Store) remove(ctx context.Context, key, etag string) error {
	input := &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &key, IfMatch: &etag}
	_, err := s.client.DeleteObject(ctx, input, s.bounded("DeleteObject", s.cfg.Timeout))
	if status(err) == http.StatusNotImplemented {
		input.IfMatch = nil
		_, err = s.client.DeleteObject(ctx, input, s.bounded("DeleteObject", s.cfg.Timeout))
	}
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

func contentType(key string) *string {
	switch {
	case strings.HasSuffix(key, ".csv"):
		return aws.String("text/csv; charset=utf-8")
	case strings.HasSuffix(key, ".json"):
		return aws.String("application/json")
	default:
		return aws.String("application/octet-stream")
	}
}
