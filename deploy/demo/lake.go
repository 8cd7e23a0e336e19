package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// firstLines is how much of an object is shown.
const firstLines = 3

// lakeSettings say where the lake is.
type lakeSettings struct {
	Bucket   string        `env:"AWS_BUCKET_NAME,required"`
	Region   string        `env:"AWS_REGION" envDefault:"us-east-1"`
	Endpoint string        `env:"AWS_ENDPOINT_URL,required"`
	Key      string        `env:"AWS_ACCESS_KEY_ID,required"`
	Secret   config.Secret `env:"AWS_SECRET_ACCESS_KEY,required"`
}

// lake reads the bucket as any user of the data would.
type lake struct {
	client *s3.Client
	bucket string
}

func newLake(cfg lakeSettings) lake {
	return lake{bucket: cfg.Bucket, client: s3.New(s3.Options{
		BaseEndpoint: aws.String(cfg.Endpoint), Region: cfg.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(cfg.Key, cfg.Secret.Reveal(), ""),
	})}
}

// object is what was read back.
type object struct {
	lines  []string // the first few
	rows   int64    // records, without the header
	bytes  int64
	sha256 string
}

// read reads an object from beginning to end.
func (l lake) read(ctx context.Context, key string) (object, error) {
	out, err := l.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &l.bucket, Key: &key})
	if err != nil {
		return object{}, fmt.Errorf("reading %s: %w", key, err)
	}
	defer out.Body.Close()
	var o object
	sum := sha256.New()
	counted := &counter{r: io.TeeReader(out.Body, sum)}
	buffered := bufio.NewReaderSize(counted, 1<<20)
	head, err := buffered.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return object{}, fmt.Errorf("reading %s: %w", key, err)
	}
	o.lines = split(head, firstLines)
	records := csv.NewReader(buffered)
	records.ReuseRecord = true
	for o.rows = -1; ; o.rows++ { // the header is no row
		if _, err := records.Read(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return object{}, fmt.Errorf("reading %s as CSV: %w", key, err)
		}
	}
	o.bytes, o.sha256 = counted.n, hex.EncodeToString(sum.Sum(nil))
	return o, nil
}

// counter counts the bytes that are read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// split returns up to n lines of head.
func split(head []byte, n int) []string {
	var lines []string
	for i, line := 0, []byte(nil); i < len(head) && len(lines) < n; i++ {
		if head[i] != '\n' {
			line = append(line, head[i])
			continue
		}
		lines, line = append(lines, string(line)), nil
	}
	return lines
}

// manifest is the part of a manifest that the demo checks.
type manifest struct {
	Status  ingest.Status `json:"status"`
	Objects []struct {
		Key    string `json:"key"`
		Rows   int64  `json:"rows"`
		SHA256 string `json:"sha256"`
	} `json:"objects"`
}

// manifest reads the manifest of a job, the mark that its objects may be read.
func (l lake) manifest(ctx context.Context, job ingest.Job) (manifest, error) {
	key := fmt.Sprintf("%s/_manifests/%s.json", job.Database, job.ID)
	out, err := l.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &l.bucket, Key: &key})
	if err != nil {
		return manifest{}, fmt.Errorf("reading the manifest %s: %w", key, err)
	}
	defer out.Body.Close()
	var m manifest
	if err := json.NewDecoder(out.Body).Decode(&m); err != nil {
		return manifest{}, fmt.Errorf("reading the manifest %s: %w", key, err)
	}
	return m, nil
}

// compare returns where the object differs from what the job and its manifest say.
func (o object) compare(result ingest.Result, m manifest) []error {
	var problems []error
	differ := func(what string, got, want any) {
		if got != want {
			problems = append(problems, fmt.Errorf("%s: %s is %v, want %v", result.Key, what, got, want))
		}
	}
	differ("registros", result.Rows, o.rows)
	differ("the size in the record", result.Bytes, o.bytes)
	differ("the checksum in the record", result.SHA256, o.sha256)
	for _, listed := range m.Objects {
		if listed.Key == result.Key {
			differ("the number of rows in the manifest", listed.Rows, o.rows)
			differ("the checksum in the manifest", listed.SHA256, o.sha256)
			return problems
		}
	}
	return append(problems, fmt.Errorf("%s: the manifest does not list it", result.Key))
}
