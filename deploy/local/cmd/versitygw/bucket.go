package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const createTimeout = 10 * time.Second

// createBucket makes sure that the bucket exists and that the account's keys open it.
func createBucket(ctx context.Context, address, bucket string, root account) error {
	ctx, cancel := context.WithTimeoutCause(ctx, createTimeout, errors.New("creating the bucket took too long"))
	defer cancel()
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + address),
		Region:       root.region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(root.access, root.secret, ""),
	})
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	var ours *types.BucketAlreadyOwnedByYou
	if err != nil && !errors.As(err, &ours) {
		return fmt.Errorf("creating bucket %s at %s: %w", bucket, address, err)
	}
	return nil
}
