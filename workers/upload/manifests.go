package upload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// maxManifest bounds what GetManifest reads into memory.
const maxManifest = 16 << 20

// PutManifest writes a manifest at key as a whole. The rules are those of an object's completion:
// an older one of the same job is replaced, a later attempt's is LeaseLost, anybody else's is
// ObjectConflict. It is safe to repeat.
func (s *Store) PutManifest(ctx context.Context, key string, owner Owner, body []byte) error {
	writer := newStamp(owner)
	unguarded := func(context.Context) error { return nil } // the caller checks its fence; the metadata is the backstop
	_, err := s.publish(ctx, "writing "+key, key, writer, unguarded, func(ctx context.Context, when condition) (string, error) {
		ifNoneMatch, ifMatch := when.headers()
		out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &s.cfg.Bucket, Key: &key, ContentType: contentType(key), Metadata: writer.metadata(),
			Body: bytes.NewReader(body), IfNoneMatch: ifNoneMatch, IfMatch: ifMatch,
		}, once, s.bounded("PutObject", s.cfg.Timeout))
		if err != nil {
			return "", err
		}
		return aws.ToString(out.ETag), nil
	})
	return err
}

// GetManifest reads the manifest at key. When there is none, found is false and err nil.
func (s *Store) GetManifest(ctx context.Context, key string) (body []byte, found bool, err error) {
	// The time limit is around the whole call: one of a single try would end with the headers
	// and cut the body off.
	limited, stop := context.WithTimeoutCause(ctx, s.cfg.Timeout, &timeoutError{tryLimit{"GetObject", s.cfg.Timeout}})
	defer stop()
	out, err := s.client.GetObject(limited, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key})
	if status(err) == http.StatusNotFound && apiCode(err) != "NoSuchBucket" {
		return nil, false, nil
	}
	if err == nil {
		defer out.Body.Close()
		body, err = io.ReadAll(io.LimitReader(out.Body, maxManifest+1))
	}
	if err != nil {
		if cause, ok := errors.AsType[*timeoutError](context.Cause(limited)); ok && ctx.Err() == nil {
			err = cause
		}
		return nil, false, s.failure(ctx, "reading "+key, err)
	}
	if len(body) > maxManifest {
		return nil, false, ingest.Permanent(ingest.ObjectConflict, nil, "the object at %s is too large for a manifest", key)
	}
	return body, true, nil
}
