package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// pollEvery is the pause between two looks at a job.
const pollEvery = 200 * time.Millisecond

// gateway is the HTTP API as a client sees it.
type gateway struct{ url string }

// post asks for an ingestion and returns the accepted job.
func (g gateway) post(ctx context.Context, database ingest.Database) (ingest.Job, error) {
	return g.call(ctx, http.MethodPost, "/api/ingesta/"+string(database), http.StatusAccepted)
}

// follow polls the job until it has ended, and shows each state.
func (g gateway) follow(ctx context.Context, id string, show func(ingest.Job)) (ingest.Job, error) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		job, err := g.call(ctx, http.MethodGet, "/api/ingesta/jobs/"+id, http.StatusOK)
		if err != nil {
			return ingest.Job{}, err
		}
		show(job)
		if job.Status.Terminal() {
			return job, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ingest.Job{}, fmt.Errorf("waiting for job %s: %w", id, context.Cause(ctx))
		}
	}
}

func (g gateway) call(ctx context.Context, method, path string, want int) (ingest.Job, error) {
	request, err := http.NewRequestWithContext(ctx, method, g.url+path, nil)
	if err != nil {
		return ingest.Job{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ingest.Job{}, fmt.Errorf("calling the gateway (is the stack up? make status): %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ingest.Job{}, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if response.StatusCode != want {
		return ingest.Job{}, fmt.Errorf("%s %s: want %d, got %s: %s", method, path, want, response.Status, body)
	}
	var job ingest.Job
	if err := json.Unmarshal(body, &job); err != nil {
		return ingest.Job{}, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return job, nil
}
