package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// gateway is the HTTP API as a client sees it.
type gateway struct {
	url  string
	http *http.Client
}

// ingest asks for one dataset, waits for the end of the job, and returns it with the time from the
// request to the answer. A job that did not succeed in its first attempt, with every row, is an error.
func (g gateway) ingest(ctx context.Context, d dataset) (ingest.Job, time.Duration, error) {
	request, err := g.request(ctx, d)
	if err != nil {
		return ingest.Job{}, 0, err
	}
	request.Header.Set("Prefer", "wait=300")
	began := time.Now()
	response, err := g.http.Do(request)
	if err != nil {
		return ingest.Job{}, 0, fmt.Errorf("asking the gateway: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	took := time.Since(began)
	if err != nil {
		return ingest.Job{}, 0, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	var job ingest.Job
	if err := json.Unmarshal(answer, &job); err != nil {
		return ingest.Job{}, 0, fmt.Errorf("reading the gateway's answer %s %s: %w", response.Status, answer, err)
	}
	result := job.Results.Of(d.Name)
	switch {
	case response.StatusCode != http.StatusOK || job.Status != ingest.Success || result == nil:
		return ingest.Job{}, 0, fmt.Errorf("the export of %s did not succeed: %s %s", d.Name, response.Status, answer)
	case job.Attempt != 1:
		return ingest.Job{}, 0, fmt.Errorf("the export of %s took %d attempts: %s", d.Name, job.Attempt, answer)
	case result.Rows != int64(d.Rows):
		return ingest.Job{}, 0, fmt.Errorf("the export of %s has %d rows, not %d", d.Name, result.Rows, d.Rows)
	}
	return job, took, nil
}

// request asks for one dataset.
func (g gateway) request(ctx context.Context, d dataset) (*http.Request, error) {
	body, err := json.Marshal(map[string][]string{"datasets": {d.Name}})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/api/ingesta/"+string(d.Database), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	return request, nil
}
