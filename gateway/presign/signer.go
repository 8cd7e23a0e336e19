package presign

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// credentialsTimeout bounds how long the provider of the credentials may take: someone waits for the answer.
const credentialsTimeout = 5 * time.Second

// contentType is what a browser is told that it gets.
const contentType = "text/csv; charset=utf-8"

// Signer signs addresses of one bucket. Its methods may be called from several goroutines at once.
type Signer struct {
	cfg         Config
	credentials aws.CredentialsProvider
	client      *s3.PresignClient
}

// New returns a signer for the configured bucket. It reads the SDK's configuration (environment, shared
// files) and makes no connection. Without a bucket it reads nothing, and the signer refuses everything.
func New(ctx context.Context, cfg Config) (*Signer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring downloads: %w", err)
	}
	if cfg.Bucket == "" {
		return &Signer{}, nil
	}
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // what it has to say comes back as an error too
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
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		for _, endpoint := range []string{cfg.Endpoint, cfg.Public} {
			if endpoint != "" {
				o.BaseEndpoint = aws.String(endpoint)
			}
		}
		o.UsePathStyle = o.BaseEndpoint != nil
		if cfg.PathStyle != nil {
			o.UsePathStyle = *cfg.PathStyle
		}
	})
	return &Signer{
		cfg:         cfg,
		credentials: loaded.Credentials,
		client:      s3.NewPresignClient(client, s3.WithPresignExpires(cfg.TTL)),
	}, nil
}

// URL returns the address from which the object at location, s3://bucket/key as a result names it, can be
// downloaded under the last part of its key. It is good for the configured time, or until the credentials
// end. Errors are *Error, or the cause of ctx's end.
func (s *Signer) URL(ctx context.Context, location string) (string, error) {
	if s.client == nil {
		return "", &Error{Reason: Unconfigured, Message: "the gateway has no bucket to download from: AWS_BUCKET_NAME is not set"}
	}
	key, ok := strings.CutPrefix(location, "s3://"+s.cfg.Bucket+"/")
	if !ok || key == "" {
		return "", &Error{Reason: Elsewhere, Message: "the object is not in the bucket that the gateway serves downloads from"}
	}
	found, err := s.retrieve(ctx)
	if err != nil {
		return "", err
	}
	fixed := func(o *s3.Options) { // signing would ask their provider once more, without a bound
		o.Credentials = credentials.StaticCredentialsProvider{Value: found}
	}
	request, err := s.client.PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.cfg.Bucket, Key: &key,
		ResponseContentDisposition: aws.String(mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(key)})),
		ResponseContentType:        aws.String(contentType),
	}, s3.WithPresignClientFromClientOptions(fixed))
	if err != nil {
		return "", fmt.Errorf("signing an address: %w", err)
	}
	return request.URL, nil
}

// retrieve returns the credentials to sign with. Where they come from is itself a service at times.
func (s *Signer) retrieve(ctx context.Context) (aws.Credentials, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, credentialsTimeout, errors.New("retrieving credentials for downloads timed out"))
	defer cancel()
	found, err := s.credentials.Retrieve(bounded)
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return found, fmt.Errorf("retrieving credentials for downloads: %w", context.Cause(ctx))
	case bounded.Err() != nil:
		err = errors.Join(context.Cause(bounded), err)
	}
	return found, &Error{Reason: NoCredentials, Message: "the gateway has no credentials for S3", Cause: err}
}
