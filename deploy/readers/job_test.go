package readers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// Every file of the main job says the same to all readers, and its values have the types that the
// manifest names.
func TestFilesOfJobs(t *testing.T) {
	for _, database := range []ingest.Database{ingest.MongoDB, ingest.MySQL, ingest.PostgreSQL} {
		t.Run(string(database), func(t *testing.T) {
			job := run(t, database)
			for _, r := range job.Results {
				t.Run(r.Dataset, func(t *testing.T) { check(t, r) })
			}
		})
	}
}

// run has the gateway of the local stack run a job, and returns it when it is over.
func run(t *testing.T, database ingest.Database) (job ingest.Job) {
	t.Helper()
	url := stacktest.Env(t, "INGESTA_URL") + "/api/ingesta/" + string(database)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Prefer", "wait=60")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&job); err != nil || job.Status != ingest.Success {
		t.Fatalf("the job is %s (%v), want success: %s", job.Status, err, response.Status)
	}
	return job
}

// fetch returns the object of a dataset.
func fetch(t *testing.T, r ingest.Result) []byte {
	t.Helper()
	bucket := stacktest.Env(t, "AWS_BUCKET_NAME")
	object, err := stacktest.S3(t).GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &r.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	file, err := io.ReadAll(object.Body)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func check(t *testing.T, r ingest.Result) {
	file := fetch(t, r)
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != r.SHA256 {
		t.Errorf("the file's SHA-256 is %x, the job says %s", sum, r.SHA256)
	}
	header, rows, _ := bytes.Cut(file, []byte("\n"))
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	if string(header) != strings.Join(names, ",") {
		t.Errorf("the header is %s, want %v", header, names)
	}
	records := agree(t, rows, len(r.Columns))
	if int64(len(records)) != r.Rows {
		t.Errorf("the readers see %d rows, registros is %d", len(records), r.Rows)
	}

	// Read again with types, each value must be spelled as it is in the file, or mean the same.
	types, list := make([]string, len(r.Columns)), make([]string, len(r.Columns))
	for i, c := range r.Columns {
		name, spelling := fmt.Sprintf("c%d", i), "c%d::VARCHAR"
		if c.Type == ingest.TypeInstant {
			spelling = "strftime(c%[1]d::TIMESTAMP, '%%Y-%%m-%%d %%H:%%M:%%S') || rtrim(rtrim(strftime(c%[1]d::TIMESTAMP, '.%%f'), '0'), '.') || '+00'"
		}
		types[i], list[i] = fmt.Sprintf("'%s': '%s'", name, duckType(c.Type)), fmt.Sprintf(spelling, i)
	}
	typed := query(t, "SELECT "+strings.Join(list, ", ")+" FROM "+scan(t, file, strings.Join(types, ", "), true), len(r.Columns))
	if len(typed) != len(records) {
		t.Fatalf("with types DuckDB sees %d rows, want %d", len(typed), len(records))
	}
	for i := range records {
		for j, c := range r.Columns {
			got, want := typed[i][j], records[i][j]
			if c.Type == ingest.TypeFloat {
				got.Text, want.Text = number(got.Text), number(want.Text)
			}
			if got != want {
				t.Errorf("row %d, column %s of type %s: DuckDB sees %v, want %v", i, c.Name, c.Type, got, want)
			}
		}
	}
}

// number spells a number in one way.
func number(text string) string {
	var f float64
	if _, err := fmt.Sscan(text, &f); err != nil {
		return text
	}
	return fmt.Sprint(f)
}

// duckType returns DuckDB's type for a type of the dialect.
func duckType(fileType string) string {
	switch fileType {
	case ingest.TypeInteger:
		return "HUGEINT"
	case ingest.TypeFloat:
		return "DOUBLE"
	case ingest.TypeBoolean:
		return "BOOLEAN"
	case ingest.TypeDate:
		return "DATE"
	case ingest.TypeTimestamp:
		return "TIMESTAMP"
	case ingest.TypeInstant:
		return "TIMESTAMPTZ"
	case ingest.TypeUUID:
		return "UUID"
	default:
		return "VARCHAR" // decimals too, whose digits no type of fixed size holds
	}
}
