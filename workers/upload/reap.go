package upload

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Upload is a multipart upload that was neither completed nor aborted.
type Upload struct {
	Key string
	ID  string
	Age time.Duration // by the clock of the S3 server
}

// StaleUploads returns the uploads of the bucket that are at least so old, have a key that begins
// with prefix and is ours, and are not being written by this process.
func (s *Store) StaleUploads(ctx context.Context, prefix string, age time.Duration, ours func(key string) bool) ([]Upload, error) {
	var stale []Upload
	for from := (&s3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket, Prefix: &prefix}); ; {
		page, err := s.client.ListMultipartUploads(ctx, from, s.bounded("ListMultipartUploads", s.cfg.Timeout))
		if from.UploadIdMarker != nil && apiCode(err) == "InvalidArgument" {
			// versitygw (1.8) refuses the marker that it gave out. By the key alone some uploads of the
			// page's last key may be left out, until those before them are gone.
			from.UploadIdMarker = nil
			continue
		}
		if err != nil {
			return nil, s.failure(ctx, "listing all uploads", err)
		}
		now, told := middleware.GetServerTime(page.ResultMetadata)
		if !told {
			now = time.Now()
		}
		for _, u := range page.Uploads {
			found := Upload{Key: aws.ToString(u.Key), ID: aws.ToString(u.UploadId), Age: now.Sub(aws.ToTime(u.Initiated))}
			if u.Initiated != nil && found.Age >= age && ours(found.Key) && !s.isWriting(found.ID) {
				stale = append(stale, found)
			}
		}
		if !aws.ToBool(page.IsTruncated) || aws.ToString(page.NextKeyMarker) == "" {
			return stale, nil
		}
		from.KeyMarker, from.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
	}
}

// AbortUpload aborts an upload and removes its parts. One that is gone counts as aborted.
func (s *Store) AbortUpload(ctx context.Context, u Upload) error { return s.abort(ctx, u.Key, u.ID) }

// isWriting reports whether this process is working on the upload, in whoever's name.
func (s *Store) isWriting(uploadID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.live[uploadID]
	return ok
}
