package jobstore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// record is a job as Redis holds it: the fields of its hash. Scripts set them; only Go reads the
// JSON in them. STATE.md lists them.
type record map[string]string

// job decodes the record.
func (r record) job() (ingest.Job, error) {
	j := ingest.Job{
		ID:            r["id"],
		Database:      ingest.Database(r["database"]),
		RequestedBy:   r["requested_by"],
		RequestID:     r["request_id"],
		RetryOf:       r["retry_of"],
		CatalogDigest: r["catalog_digest"],

		CancelRequested: r["cancel"] != "",

		Code:  ingest.Code(r["code"]),
		Error: r["error"],
	}
	var err error
	if j.Status, err = ingest.ParseStatus(r["status"]); err != nil {
		return ingest.Job{}, fmt.Errorf("reading job %s: %w", j.ID, err)
	}
	for field, at := range map[string]*time.Time{
		"created_ms": &j.CreatedAt, "started_ms": &j.StartedAt, "finished_ms": &j.FinishedAt,
		"next_ms": &j.NextAttemptAt, "lease_ms": &j.LeaseUntil,
	} {
		ms, err := r.number(field)
		if err != nil {
			return ingest.Job{}, err
		}
		if ms != 0 {
			*at = time.UnixMilli(ms).UTC()
		}
	}
	if j.Fence, err = r.number("fence"); err != nil {
		return ingest.Job{}, err
	}
	if j.Results, err = r.results(); err != nil {
		return ingest.Job{}, err
	}
	j.SumProgress()
	if j.Attempts, err = r.attempts(); err != nil {
		return ingest.Job{}, err
	}
	attempt, err := r.number("attempt")
	if err != nil {
		return ingest.Job{}, err
	}
	j.Attempt = int(attempt)
	return j, nil
}

// number returns the whole number in a field, 0 when there is none.
func (r record) number(field string) (int64, error) {
	text, ok := r[field]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading job %s: field %s: %w", r["id"], field, err)
	}
	return n, nil
}

// results returns one result per dataset, in the order of acceptance.
func (r record) results() (ingest.Results, error) {
	var targets []ingest.Target
	if err := json.Unmarshal([]byte(r["targets"]), &targets); err != nil {
		return nil, fmt.Errorf("reading job %s: its datasets: %w", r["id"], err)
	}
	stamped, err := r.number("stamp_s")
	if err != nil {
		return nil, err
	}
	seq, err := r.number("stamp_seq")
	if err != nil {
		return nil, err
	}
	results := make(ingest.Results, len(targets))
	for i, t := range targets {
		results[i].State = ingest.Pending
		// What was committed stands, whatever progress a renewal reported that the commit overtook.
		stored, ok := r["result:"+t.Dataset]
		if !ok {
			stored, ok = r["progress:"+t.Dataset]
		}
		if ok {
			if err := json.Unmarshal([]byte(stored), &results[i]); err != nil {
				return nil, fmt.Errorf("reading job %s: result of dataset %s: %w", r["id"], t.Dataset, err)
			}
		}
		results[i].Dataset = t.Dataset
		// The key was fixed at acceptance; no attempt can change it. A job made from its command has
		// no stamp, because the keys in a command are final.
		results[i].Key = t.Key
		if stamped != 0 {
			results[i].Key = ingest.ResolveKey(t.Key, time.Unix(stamped, 0), seq)
		}
	}
	return results, nil
}

// attempts returns the attempts in order.
func (r record) attempts() ([]ingest.Attempt, error) {
	latest, err := r.number("attempt")
	if err != nil {
		return nil, err
	}
	var attempts []ingest.Attempt
	for n := 1; n <= int(latest); n++ {
		begun, ok := r["attempt:"+strconv.Itoa(n)]
		if !ok {
			continue
		}
		a := ingest.Attempt{Number: n}
		started, worker, _ := strings.Cut(begun, " ")
		a.Worker = worker
		if a.StartedAt, err = parseMillis(started); err != nil {
			return nil, fmt.Errorf("reading job %s: attempt %d: %w", r["id"], n, err)
		}
		if over, ok := r["ended:"+strconv.Itoa(n)]; ok {
			ended, how, _ := strings.Cut(over, " ")
			outcome, code, _ := strings.Cut(how, " ")
			a.Outcome, a.Code = outcome, ingest.Code(code)
			if a.EndedAt, err = parseMillis(ended); err != nil {
				return nil, fmt.Errorf("reading job %s: end of attempt %d: %w", r["id"], n, err)
			}
		}
		attempts = append(attempts, a)
	}
	return attempts, nil
}

func parseMillis(text string) (time.Time, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}

// jobs decodes a list of records, each given as an array of names and values.
func jobs(lists reply) ([]ingest.Job, error) {
	decoded := make([]ingest.Job, len(lists))
	for i := range lists {
		var err error
		if decoded[i], err = record(lists.list(i).fields()).job(); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}
