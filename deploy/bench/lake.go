package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// lake is the bucket of the benchmark's own stack.
type lake struct {
	client *s3.Client
	bucket string
}

func newLake(env map[string]string) *lake {
	return &lake{
		bucket: env["AWS_BUCKET_NAME"],
		client: s3.New(s3.Options{
			BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]), Region: env["AWS_REGION"], UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
		}),
	}
}

// size returns how many bytes an object has, which must be there.
func (l *lake) size(ctx context.Context, key string) (int64, error) {
	head, err := l.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &l.bucket, Key: &key})
	if err != nil {
		return 0, fmt.Errorf("looking for the object %s: %w", key, err)
	}
	return aws.ToInt64(head.ContentLength), nil
}

// clear removes everything in the bucket, so that the disk does not fill.
func (l *lake) clear(ctx context.Context) error {
	pages := s3.NewListObjectsV2Paginator(l.client, &s3.ListObjectsV2Input{Bucket: &l.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing objects: %w", err)
		}
		var all []types.ObjectIdentifier
		for _, object := range page.Contents {
			all = append(all, types.ObjectIdentifier{Key: object.Key})
		}
		if len(all) == 0 {
			continue
		}
		removed, err := l.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &l.bucket, Delete: &types.Delete{Objects: all}})
		if err != nil {
			return fmt.Errorf("removing objects: %w", err)
		}
		if len(removed.Errors) > 0 {
			return fmt.Errorf("removing the object %s: %s", aws.ToString(removed.Errors[0].Key), aws.ToString(removed.Errors[0].Message))
		}
	}
	return nil
}
