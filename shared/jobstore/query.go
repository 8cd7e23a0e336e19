package jobstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"

	"github.com/redis/go-redis/v9"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Get returns the job: ErrNotFound when there is none, or not any more.
func (s *Store) Get(ctx context.Context, id string) (ingest.Job, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	fields, err := s.client.HGetAll(ctx, s.prefix+"job:"+id).Result()
	if err != nil {
		return ingest.Job{}, wrap(ctx, "reading a job", err)
	}
	if len(fields) == 0 {
		return ingest.Job{}, ErrNotFound
	}
	return record(fields).job()
}

// GetAll returns those of the jobs that there are, by id, with one round trip. Beside an error that is
// not ErrUnavailable, which tells of jobs that cannot be read, it returns the others.
func (s *Store) GetAll(ctx context.Context, ids []string) (map[string]ingest.Job, error) {
	const doing = "reading jobs"
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	pipe := s.client.Pipeline()
	reads := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		reads[i] = pipe.HGetAll(ctx, s.prefix+"job:"+id)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, wrap(ctx, doing, err)
	}
	found := make(map[string]ingest.Job, len(ids))
	var unreadable []error
	for i, id := range ids {
		fields := reads[i].Val()
		if len(fields) == 0 {
			continue
		}
		job, err := record(fields).job()
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("%s: %w", doing, err))
			continue
		}
		found[id] = job
	}
	return found, errors.Join(unreadable...)
}

// Bounds of a page.
const (
	defaultPage = 50
	largestPage = 200
)

// Query chooses jobs to list. Empty filters match all.
type Query struct {
	Database ingest.Database
	Status   ingest.Status
	Limit    int    // 0 is 50; at most 200
	Cursor   string // Next of the page before, for the same filters
}

// Page is one page of jobs, newest first.
type Page struct {
	Jobs []ingest.Job
	Next string // cursor of the next page, empty at the end
}

// member is the form of the indexes' members.
var member = regexp.MustCompile(`^[0-9]{15}:[A-Za-z0-9_.:-]{1,128}$`)

// List returns one page of jobs, newest first. Its cost depends on the page, not on the number of
// jobs. Pages do not overlap and leave out no job that matched from the first page to the last,
// even while new jobs arrive; a job that changes status between two pages is seen by a status
// filter as it is then. ErrBadCursor when the cursor is not one of ours.
func (s *Store) List(ctx context.Context, q Query) (Page, error) {
	const doing = "listing jobs"
	from := "+"
	if q.Cursor != "" {
		last, err := base64.RawURLEncoding.DecodeString(q.Cursor)
		if err != nil || !member.Match(last) {
			return Page{}, ErrBadCursor
		}
		from = "(" + string(last)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, largestPage)

	var page Page
	last := "" // member of the last job on the page
	for {
		// One more than fits tells whether there is a next page.
		want := limit - len(page.Jobs) + 1
		r, err := s.run(ctx, doing, s.scripts.list, index(q), from, want)
		if err != nil {
			return Page{}, err
		}
		for i := range r {
			at, fields := r.list(i).text(0), r.list(i).list(1)
			from = "(" + at
			if len(fields) == 0 {
				continue // expired, not yet swept
			}
			if len(page.Jobs) == limit {
				page.Next = base64.RawURLEncoding.EncodeToString([]byte(last))
				return page, nil
			}
			job, err := record(fields.fields()).job()
			if err != nil {
				return Page{}, fmt.Errorf("%s: %w", doing, err)
			}
			page.Jobs = append(page.Jobs, job)
			last = at
		}
		if len(r) < want {
			return page, nil
		}
	}
}

// index names the sorted set that holds exactly the jobs of a query.
func index(q Query) string {
	switch {
	case q.Database != "" && q.Status != "":
		return "index:database:" + string(q.Database) + ":status:" + string(q.Status)
	case q.Database != "":
		return "index:database:" + string(q.Database)
	case q.Status != "":
		return "index:status:" + string(q.Status)
	default:
		return "index:all"
	}
}
