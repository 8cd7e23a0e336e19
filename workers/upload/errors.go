package upload

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// failure turns an error of the SDK into one of the system, by type and status alone. doing names
// the operation for the log. When ctx has ended its cause is the answer: what S3 said then is noise.
func (s *Store) failure(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	if _, ok := errors.AsType[*ingest.Error](err); ok {
		return err
	}
	return s.classify(fmt.Errorf("%s: %w", doing, err))
}

func (s *Store) classify(err error) *ingest.Error {
	if timeout, ok := errors.AsType[*timeoutError](err); ok {
		return ingest.Transient(ingest.StorageUnavailable, err, "%v", timeout)
	}
	// Where credentials come from is itself a service that may be away for a moment.
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return ingest.Transient(ingest.StorageDenied, err, "the worker has no credentials for S3")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ingest.Permanent(ingest.StorageDenied, err, "the certificate of the S3 server is not trusted")
	}
	code := apiCode(err)
	if _, ok := errors.AsType[*types.NoSuchBucket](err); ok || code == "NoSuchBucket" {
		return s.noBucket(err)
	}
	switch status := status(err); {
	case status == http.StatusForbidden || status == http.StatusUnauthorized || badCredentials(code):
		return ingest.Permanent(ingest.StorageDenied, err, "S3 refuses access to bucket %s with these credentials", s.cfg.Bucket)
	case status == http.StatusNotFound:
		if code == "NoSuchUpload" {
			return ingest.Transient(ingest.StorageUnavailable, err, "the upload was aborted by someone else")
		}
		return s.noBucket(err) // what HEAD of a bucket says, which has no body to name the reason
	case status == http.StatusMovedPermanently:
		return ingest.Permanent(ingest.StorageDenied, err, "bucket %s is in another region than AWS_REGION says", s.cfg.Bucket)
	case status == http.StatusNotImplemented:
		return ingest.Permanent(ingest.StorageDenied, err, "the S3 server does not know a request that is needed; conditional writes (If-None-Match, If-Match) are among them")
	case status >= 500 || status/100 == 2 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout ||
		status == http.StatusTemporaryRedirect || status == http.StatusConflict || status == http.StatusPreconditionFailed ||
		code == "RequestTimeout" || code == "SlowDown":
		return ingest.Transient(ingest.StorageUnavailable, err, "S3 could not serve a request")
	case status != 0:
		return ingest.Permanent(ingest.StorageDenied, err, "S3 refused a request with status %d", status)
	case unreachable(err):
		return ingest.Transient(ingest.StorageUnavailable, err, "S3 cannot be reached")
	}
	return ingest.AsError(err)
}

func (s *Store) noBucket(err error) *ingest.Error {
	return ingest.Permanent(ingest.StorageDenied, err, "bucket %s does not exist", s.cfg.Bucket)
}

func leaseLost(key string) *ingest.Error {
	return ingest.Permanent(ingest.LeaseLost, nil, "a later attempt of the job has written %s", key)
}

func objectConflict(key string) *ingest.Error {
	return ingest.Permanent(ingest.ObjectConflict, nil, "an object that is not of this job stands at %s", key)
}

// status returns the HTTP status of the answer that err stands for, and 0 when there was none.
func status(err error) int {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil && answer.Response.Response != nil {
		return answer.HTTPStatusCode()
	}
	return 0
}

// apiCode returns S3's own name of the error in the answer, where it gave one.
func apiCode(err error) string {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		return answer.ErrorCode()
	}
	return ""
}

// badCredentials reports whether S3's name of an error is about who asks, and not about what.
func badCredentials(code string) bool {
	switch code {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
		return true
	case "XAdminUserNotFound": // versitygw, with the status of a bucket that is missing
		return true
	default:
		return false
	}
}

// unreachable reports whether err is a connection that could not be made, broke or ended early.
func unreachable(err error) bool {
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*timeoutError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// credentials gives the errors of a provider a type.
type credentials struct{ aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, &credentialsError{err}
	}
	return found, nil
}

type credentialsError struct{ cause error }

func (e *credentialsError) Error() string { return "retrieving credentials: " + e.cause.Error() }
func (e *credentialsError) Unwrap() error { return e.cause }
