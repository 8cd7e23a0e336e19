package upload

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Config says where objects go and how much memory and patience that may take. Credentials come
// from the SDK's default chain and are not part of it.
type Config struct {
	Bucket string `env:"AWS_BUCKET_NAME,required,notEmpty"`
	Region string `env:"AWS_REGION"` // empty: as the SDK finds it, else us-east-1

	// Endpoint is the URL of a server other than Amazon's. Empty: as the SDK finds it.
	Endpoint string `env:"AWS_ENDPOINT_URL"`

	// PathStyle puts the bucket into the path instead of the host name. Unset: true when there
	// is an endpoint, since few other servers answer to a host name for each bucket.
	PathStyle *bool `env:"INGESTA_S3_PATH_STYLE"`

	PartSize Size `env:"INGESTA_UPLOAD_PART_SIZE" envDefault:"8MiB"` // of an object's first parts; they grow with it
	Parallel int  `env:"INGESTA_UPLOAD_PARALLEL" envDefault:"3"`     // parts of one object in flight at once

	// Memory is for the parts of all objects together. It also bounds the size of an object: a
	// part takes at most half of it, and an object has at most 10,000 parts. 32 MiB are good for
	// 148 GiB.
	Memory Size `env:"INGESTA_UPLOAD_MEMORY" envDefault:"32MiB"`

	Timeout  time.Duration `env:"INGESTA_S3_TIMEOUT" envDefault:"60s"` // of one try of one request
	Attempts int           `env:"INGESTA_S3_ATTEMPTS" envDefault:"8"`  // tries of one request
}

// The limits of the multipart protocol.
const (
	minPartSize = 5 << 20 // of every part but the last
	maxPartSize = 5 << 30
	maxParts    = 10_000
)

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	var problems []error
	if c.Bucket == "" {
		problems = append(problems, errors.New("AWS_BUCKET_NAME is empty"))
	}
	if c.PartSize < minPartSize || c.PartSize > maxPartSize {
		problems = append(problems, fmt.Errorf("INGESTA_UPLOAD_PART_SIZE is %v: S3 takes parts of %v to %v", c.PartSize, Size(minPartSize), Size(maxPartSize)))
	}
	if c.Memory < 2*c.PartSize {
		problems = append(problems, fmt.Errorf("INGESTA_UPLOAD_MEMORY is %v: it must hold two parts of %v, one to fill and one to send", c.Memory, c.PartSize))
	}
	if c.Parallel < 1 {
		problems = append(problems, fmt.Errorf("INGESTA_UPLOAD_PARALLEL %d is less than 1", c.Parallel))
	}
	if c.Timeout <= 0 {
		problems = append(problems, fmt.Errorf("INGESTA_S3_TIMEOUT %v is not positive", c.Timeout))
	}
	if c.Attempts < 1 {
		problems = append(problems, fmt.Errorf("INGESTA_S3_ATTEMPTS %d is less than 1", c.Attempts))
	}
	return errors.Join(problems...)
}

// Size is a number of bytes. Its text form is a whole number with an optional unit: B, KiB, MiB
// or GiB.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads the text form.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return fmt.Errorf("%q is not a size: write a whole number and a unit, such as 8MiB", text)
	}
	*s = Size(n * unit)
	return nil
}

// MarshalText writes the text form.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
