package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Reasons for which Probe fails. Each calls for another remedy.
var (
	// ErrUnreachable: nobody answers at the address in time.
	ErrUnreachable = errors.New("S3 cannot be reached")
	// ErrNoCredentials: the SDK's default chain finds none.
	ErrNoCredentials = errors.New("no credentials for S3 are found")
	// ErrCredentials: S3 does not know the credentials, or they are no longer valid.
	ErrCredentials = errors.New("S3 refuses the credentials")
	// ErrAccessDenied: S3 knows the credentials, and they do not allow what was tried.
	ErrAccessDenied = errors.New("S3 denies access")
	// ErrNoBucket: the bucket does not exist.
	ErrNoBucket = errors.New("the bucket does not exist")
)

// probeLimit bounds each request of a probe, which is tried once.
const probeLimit = 5 * time.Second

// Probe writes a small object into the bucket, under the condition that all objects are written
// under, reads it back and deletes it. Its key begins with _check/: readers of a lake pass over what
// begins with an underscore. It is deleted also when reading it fails; an error names the key of an
// object that is left.
//
// An error is one of ErrUnreachable, ErrNoCredentials, ErrCredentials, ErrAccessDenied and
// ErrNoBucket, or none of them where S3 has something else to say, and carries an *ingest.Error.
// When the caller cancelled ctx, its cause is returned instead.
func (s *Store) Probe(ctx context.Context) error {
	limit := min(s.cfg.Timeout, probeLimit)
	if err := s.findCredentials(ctx, limit); err != nil {
		return err
	}
	key := "_check/" + uuid.NewString()
	body := []byte(key)
	ifNoneMatch, _ := condition{}.headers()
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.cfg.Bucket, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: ifNoneMatch,
	}, once, s.bounded("PutObject", limit))
	if err != nil {
		if doubtful(err) {
			_ = s.removeProbe(ctx, key, limit) // the answer may be all that was lost
		}
		return s.explained(ctx, "writing an object", err)
	}
	err = s.readBack(ctx, key, body, limit)
	if left := s.removeProbe(ctx, key, limit); left != nil && err != nil {
		return fmt.Errorf("%w; and %s is left there: %w", err, key, left)
	} else if left != nil {
		return fmt.Errorf("%s is left there: %w", key, left)
	}
	return err
}

// findCredentials looks for credentials by itself. Within a request, a source of them that is slow
// to say that it has none would be taken for an S3 that is.
func (s *Store) findCredentials(ctx context.Context, limit time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("none within %s", limit))
	defer cancel()
	if _, err := s.client.Options().Credentials.Retrieve(limited); err != nil {
		if limited.Err() != nil {
			err = context.Cause(limited)
		}
		return s.explained(ctx, "looking for credentials", &credentialsError{err})
	}
	return nil
}

// readBack makes sure that the object at key is what was written.
func (s *Store) readBack(ctx context.Context, key string, want []byte, limit time.Duration) error {
	const doing = "reading the object back"
	// The time limit is around the whole call, as in GetManifest.
	limited, stop := context.WithTimeoutCause(ctx, limit, &timeoutError{tryLimit{"GetObject", limit}})
	defer stop()
	var got []byte
	out, err := s.client.GetObject(limited, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key}, once, func(o *s3.Options) {
		// The bytes are compared below; where there is no checksum the SDK would print that.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	if err == nil {
		defer out.Body.Close()
		got, err = io.ReadAll(io.LimitReader(out.Body, int64(len(want))+1))
	}
	if err != nil {
		if cause, ok := errors.AsType[*timeoutError](context.Cause(limited)); ok && ctx.Err() == nil {
			err = cause
		}
		return s.explained(ctx, doing, err)
	}
	if !bytes.Equal(got, want) {
		return ingest.Permanent(ingest.StorageDenied, nil, "S3 gives back another object than was written")
	}
	return nil
}

// removeProbe deletes the object, also when ctx has ended.
func (s *Store) removeProbe(ctx context.Context, key string, limit time.Duration) error {
	ctx, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, &timeoutError{tryLimit{"DeleteObject", limit}})
	defer stop()
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &key}, once); err != nil {
		return s.explained(ctx, "deleting the object", err)
	}
	return nil
}

// explained is failure with the reason.
func (s *Store) explained(ctx context.Context, doing string, err error) error {
	named := s.failure(ctx, doing, err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return named
	}
	if reason := reasonFor(err); reason != nil {
		return fmt.Errorf("%w: %w", reason, named)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, named)
	}
	return named
}

// reasonFor returns the reason by the types and codes in err, and nil when there is none of ours.
func reasonFor(err error) error {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return ErrNoCredentials
	}
	switch code, status := apiCode(err), status(err); {
	case code == "NoSuchBucket":
		return ErrNoBucket
	case badCredentials(code) || status == http.StatusUnauthorized:
		return ErrCredentials
	case status == http.StatusForbidden:
		return ErrAccessDenied
	case status == 0 && unreachable(err):
		return ErrUnreachable
	default:
		return nil
	}
}
