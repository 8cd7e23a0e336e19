package upload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// bounded gives each try of a request its own time limit. A context's deadline around the whole
// call would not do: the SDK takes it for the caller's wish to stop and does not try again.
func (s *Store) bounded(operation string, limit time.Duration) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Insert(tryLimit{operation, limit}, "Retry", middleware.After)
		})
	}
}

// once switches the SDK's retries off for one call, for the writes whose tries the Store counts.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// tryLimit is the middleware of bounded.
type tryLimit struct {
	operation string
	limit     time.Duration
}

func (tryLimit) ID() string { return "ingesta:TryLimit" }

func (l tryLimit) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	try, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	out, metadata, err := next.HandleFinalize(try, in)
	if err != nil && ctx.Err() == nil && errors.Is(try.Err(), context.DeadlineExceeded) {
		// Not wrapped: the cause says "cancelled", and that the SDK would not try again.
		err = &timeoutError{l}
	}
	return out, metadata, err
}

// timeoutError is one try of a request that S3 did not answer in time.
type timeoutError struct{ tryLimit }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("S3 did not answer %s within %v", e.operation, e.limit)
}

// Timeout tells the SDK that the try may be repeated.
func (*timeoutError) Timeout() bool { return true }

// unsignedBody keeps the SDK from hashing a part with SHA-256 only to sign it, which it does over
// plain http: the part's own checksum travels in a signed header and protects it as well. Where
// the SDK is told to send no checksums the signature is all there is, and stays.
func (s *Store) unsignedBody(o *s3.Options) {
	if s.checksum() == "" {
		return
	}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(unsignedPayload{}, "AWSChecksum:ComputeInputPayloadChecksum", middleware.Before)
	})
}

// unsignedPayload is the middleware of unsignedBody. The SDK's own one comes after the checksum
// has been computed, which takes the SHA-256 along.
type unsignedPayload struct{}

func (unsignedPayload) ID() string { return "ingesta:UnsignedPayload" }

func (unsignedPayload) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	return next.HandleFinalize(v4.SetPayloadHash(ctx, "UNSIGNED-PAYLOAD"), in)
}
