package upload

import (
	"context"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
)

// stamp is what the metadata of an object says of its origin. The nonce is new for each write, so
// that a writer knows its own object from one that another try of the same attempt made.
type stamp struct {
	owner Owner
	nonce string
}

// The metadata of every object.
const (
	metaJob   = "job"
	metaFence = "fence"
	metaWrite = "write"
)

func newStamp(owner Owner) stamp { return stamp{owner: owner, nonce: uuid.NewString()} }

func (s stamp) metadata() map[string]string {
	return map[string]string{metaJob: s.owner.JobID, metaFence: strconv.FormatInt(s.owner.Fence, 10), metaWrite: s.nonce}
}

// found is what stands at a key.
type found struct {
	exists bool
	stamp  stamp // zero when the object is not one of ours
	etag   string
}

// standing is what stands at a key, seen from a writer.
type standing int

const (
	absent  standing = iota
	mine             // the writer's own: its reply was lost
	older            // of the same job, by an earlier try or attempt
	newer            // of the same job, by a later attempt
	foreign          // of another job, or not of this system
)

func (f found) against(writer stamp) standing {
	switch {
	case !f.exists:
		return absent
	case f.stamp.owner.JobID == "" || f.stamp.owner.JobID != writer.owner.JobID:
		return foreign
	case f.stamp == writer:
		return mine
	case f.stamp.owner.Fence > writer.owner.Fence:
		return newer
	default:
		return older
	}
}

// head looks at what stands at key.
func (s *Store) head(ctx context.Context, key string) (found, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: &key}, s.bounded("HeadObject", s.cfg.Timeout))
	if status(err) == http.StatusNotFound {
		return found{}, nil
	}
	if err != nil {
		return found{}, s.failure(ctx, "looking at "+key, err)
	}
	f := found{exists: true, etag: aws.ToString(out.ETag)}
	if fence, err := strconv.ParseInt(out.Metadata[metaFence], 10, 64); err == nil {
		f.stamp = stamp{owner: Owner{JobID: out.Metadata[metaJob], Fence: fence}, nonce: out.Metadata[metaWrite]}
	}
	return f, nil
}
