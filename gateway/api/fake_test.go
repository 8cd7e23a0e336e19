package api_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// fakeJobs brings about every answer of package jobs, also those that real servers give rarely.
type fakeJobs struct {
	mu       sync.Mutex
	requests []jobs.Request
	cancels  []string
	traces   []string
	queries  []jobs.Query

	submit func(jobs.Request) (jobs.Receipt, error) // nil: accepts
	job    ingest.Job                               // the answer of Get, Cancel and, once over, Wait
	err    error                                    // of Get, List, Cancel and Wait
	page   jobs.Page
	dead   jobs.DeadLetters
	limits []int                                                                // of DeadLetters
	played []string                                                             // the letters of Replay, whose requests stand among requests
	ends   <-chan struct{}                                                      // Wait returns the ended job when it is closed; nil: never
	watch  func(ctx context.Context, id string, f func(ingest.Job) error) error // nil: shows job once
	all    func(ctx context.Context, after string, ready func(string) error, f func(jobs.Update) error) error
	latest map[ingest.Database]map[string]jobs.Exported
	signed error // of URL
	ready  error
	health jobs.Health
}

const (
	someID     = "0196f0a1-0000-7000-8000-000000000001"
	someLetter = "00112233445566778899aabbccddeeff"
)

var created = time.Date(2025, 1, 2, 15, 30, 45, 0, time.UTC)

func jobOf(order jobs.Order, id string) ingest.Job {
	return ingest.Job{ID: id, Database: order.Database, Status: ingest.Queued, RequestedBy: "system", CreatedAt: created, Results: ingest.Results{}}
}

func (f *fakeJobs) Submit(_ context.Context, r jobs.Request) (jobs.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r)
	if f.submit != nil {
		return f.submit(r)
	}
	var receipt jobs.Receipt
	for _, order := range r.Orders {
		receipt.Jobs = append(receipt.Jobs, jobOf(order, someID))
	}
	return receipt, nil
}

func (f *fakeJobs) Get(context.Context, string) (ingest.Job, error) { return f.job, f.err }

func (f *fakeJobs) List(_ context.Context, q jobs.Query) (jobs.Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, q)
	return f.page, f.err
}

func (f *fakeJobs) Cancel(_ context.Context, id, traceparent string) (ingest.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancels, f.traces = append(f.cancels, id), append(f.traces, traceparent)
	return f.job, f.err
}

func (f *fakeJobs) DeadLetters(_ context.Context, limit int) (jobs.DeadLetters, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limits = append(f.limits, limit)
	return f.dead, f.err
}

func (f *fakeJobs) Replay(ctx context.Context, letter string, r jobs.Request) (jobs.Receipt, error) {
	f.mu.Lock()
	f.played = append(f.played, letter)
	f.mu.Unlock()
	r.Orders = []jobs.Order{{Database: ingest.MySQL}}
	return f.Submit(ctx, r)
}

func (f *fakeJobs) Wait(ctx context.Context, ids []string) ([]ingest.Job, error) {
	if f.err != nil {
		return nil, f.err
	}
	waited := make([]ingest.Job, len(ids))
	for i, id := range ids {
		waited[i] = ingest.Job{ID: id, Database: ingest.MySQL, Status: ingest.Running, Results: ingest.Results{}}
	}
	select {
	case <-f.ends:
		for i := range waited {
			waited[i].Status = ingest.Success
		}
	case <-ctx.Done():
	}
	return waited, nil
}

func (f *fakeJobs) Watch(ctx context.Context, id string, show func(ingest.Job) error) error {
	if f.watch != nil {
		return f.watch(ctx, id, show)
	}
	if f.err != nil {
		return f.err
	}
	return show(f.job)
}

func (f *fakeJobs) WatchAll(ctx context.Context, after string, ready func(string) error, show func(jobs.Update) error) error {
	if f.all != nil {
		return f.all(ctx, after, ready, show)
	}
	if f.err != nil {
		return f.err
	}
	return ready("1-0")
}

func (f *fakeJobs) Exports(context.Context) (map[ingest.Database]map[string]jobs.Exported, error) {
	return f.latest, f.err
}

func (f *fakeJobs) URL(_ context.Context, location string) (string, error) {
	return "https://s3.example/" + location + "?signed", f.signed
}

func (f *fakeJobs) Ready(context.Context) error        { return f.ready }
func (f *fakeJobs) Health(context.Context) jobs.Health { return f.health }

// submitted returns the requests so far.
func (f *fakeJobs) submitted() []jobs.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

var errSecret = errors.New("dial tcp 10.1.2.3:6379: password hunter2 refused")
