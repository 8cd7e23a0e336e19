package testbed

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/workers/upload"
)

// Findings are what an audit found. A sound system has none but the counts of its jobs.
type Findings struct {
	Accepted  int `json:"accepted"`
	Success   int `json:"success"`
	Partial   int `json:"partial"`
	Error     int `json:"error"`
	Cancelled int `json:"cancelled"`

	Lost       []string `json:"lost"`       // accepted, and without an end or without the event of it
	Duplicated []string `json:"duplicated"` // more than one end, or more than one event id
	Truncated  []string `json:"truncated"`  // objects that are not what their record says
	Orphans    []string `json:"orphans"`    // objects and uploads that no record names
	Other      []string `json:"other"`      // fences, queues, processes
}

// Sound reports whether nothing was found.
func (f Findings) Sound() bool {
	return len(f.Lost)+len(f.Duplicated)+len(f.Truncated)+len(f.Orphans)+len(f.Other) == 0
}

func (f Findings) String() string {
	var b strings.Builder
	for _, part := range []struct {
		what  string
		items []string
	}{{"lost", f.Lost}, {"duplicated", f.Duplicated}, {"truncated", f.Truncated}, {"orphan", f.Orphans}, {"other", f.Other}} {
		for _, item := range part.items {
			fmt.Fprintf(&b, "%s: %s\n", part.what, item)
		}
	}
	return b.String()
}

// Audit waits until the system is at rest and holds it against the invariants. The processes that
// are meant to serve must be running, and the servers whole.
func (s *System) Audit() Findings {
	s.t.Helper()
	a := &audit{system: s, objects: map[string]int64{}}
	a.awaitEnds()
	a.readJobs()
	a.holdEvents()
	a.holdObjects()
	a.holdUploads()
	a.holdQueues()
	a.holdProcesses()
	a.found.Other = append(a.found.Other, s.watch.complaints()...)
	return a.found
}

// RequireSound audits and fails the test on any finding.
func (s *System) RequireSound() Findings {
	s.t.Helper()
	found := s.Audit()
	if !found.Sound() {
		s.t.Errorf("the audit found:\n%s", found)
	}
	return found
}

// audit is one audit under way.
type audit struct {
	system  *System
	jobs    []ingest.Job
	objects map[string]int64 // key → size, of those that no job has named yet
	found   Findings
}

// How long things may take to come to rest.
const (
	endPatience   = 4 * time.Minute
	eventPatience = 45 * time.Second
	restPatience  = 60 * time.Second
)

// awaitEnds gives every accepted job time to end (I1).
func (a *audit) awaitEnds() {
	waiting := a.system.Accepted()
	a.found.Accepted = len(waiting)
	a.system.within(endPatience, func() bool {
		waiting = slices.DeleteFunc(waiting, func(id string) bool {
			job, ok := a.system.Job(id)
			return ok && job.Status.Terminal()
		})
		return len(waiting) == 0
	})
	for _, id := range waiting {
		job, _ := a.system.Job(id)
		a.found.Lost = append(a.found.Lost, fmt.Sprintf("I1: job %s has not ended: %s, attempt %d", id, job.Status, job.Attempt))
	}
}

// readJobs reads every job there is and counts their ends. Those that were kept without a 202 are
// given time to end, too.
func (a *audit) readJobs() {
	accepted := a.system.Accepted()
	a.system.within(endPatience, func() bool {
		a.jobs = a.list()
		return !slices.ContainsFunc(a.jobs, func(j ingest.Job) bool { return !j.Status.Terminal() && !slices.Contains(accepted, j.ID) })
	})
	for _, job := range a.jobs {
		switch job.Status {
		case ingest.Success:
			a.found.Success++
		case ingest.Partial:
			a.found.Partial++
		case ingest.Failed:
			a.found.Error++
		case ingest.Cancelled:
			a.found.Cancelled++
		default:
			if !slices.Contains(accepted, job.ID) {
				a.found.Lost = append(a.found.Lost, fmt.Sprintf("I1: job %s, which was never answered with 202, is still %s", job.ID, job.Status))
			}
		}
	}
}

// list returns every job there is.
func (a *audit) list() (jobs []ingest.Job) {
	ctx, cancel := context.WithTimeout(context.Background(), restPatience)
	defer cancel()
	for cursor := ""; ; {
		page, err := a.system.jobs.List(ctx, jobstore.Query{Limit: 200, Cursor: cursor})
		if err != nil {
			a.system.t.Fatalf("listing the jobs: %v", err)
		}
		jobs = append(jobs, page.Jobs...)
		if cursor = page.Next; cursor == "" {
			return jobs
		}
	}
}

// holdEvents holds the terminal events against the jobs (I5, and I1 as subscribers see it).
func (a *audit) holdEvents() {
	type end struct{ ids, kinds map[string]bool }
	ends := map[string]end{}
	missing := func() (ids []string) {
		for _, job := range a.jobs {
			if _, told := ends[job.ID]; job.Status.Terminal() && !told {
				ids = append(ids, job.ID)
			}
		}
		return ids
	}
	a.system.within(eventPatience, func() bool {
		for _, e := range a.system.Events() {
			if !ingest.Status(e.Kind).Terminal() {
				continue
			}
			if _, known := ends[e.JobID]; !known {
				ends[e.JobID] = end{map[string]bool{}, map[string]bool{}}
			}
			ends[e.JobID].ids[e.ID], ends[e.JobID].kinds[e.Kind] = true, true
		}
		return len(missing()) == 0
	})
	for _, id := range missing() {
		a.found.Lost = append(a.found.Lost, "I5: job "+id+" ended without an event")
	}
	for _, job := range a.jobs {
		switch e, told := ends[job.ID]; {
		case !told:
		case len(e.ids) != 1 || len(e.kinds) != 1:
			a.found.Duplicated = append(a.found.Duplicated, fmt.Sprintf("I5: job %s has the end events %v with ids %v", job.ID, e.kinds, e.ids))
		case !e.kinds[string(job.Status)]:
			a.found.Duplicated = append(a.found.Duplicated, fmt.Sprintf("I1: job %s is %s, and its event says %v", job.ID, job.Status, e.kinds))
		}
	}
}

// holdObjects holds every object against the record that names it, and the records against the
// objects (I2, I7).
func (a *audit) holdObjects() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	pages := s3.NewListObjectsV2Paginator(a.system.s3, &s3.ListObjectsV2Input{Bucket: &a.system.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			a.system.t.Fatalf("listing the objects: %v", err)
		}
		for _, o := range page.Contents {
			a.objects[*o.Key] = *o.Size
		}
	}
	files := map[ingest.Database]map[string]File{}
	for _, db := range Databases() {
		files[db] = map[string]File{}
		for _, d := range datasets(db) {
			files[db][d.Name] = d.File()
		}
	}
	for _, job := range a.jobs {
		published := job.Status == ingest.Success || job.Status == ingest.Partial
		for _, r := range job.Results {
			switch {
			case r.State == ingest.Done && published:
				a.holdObject(ctx, job, r, files[job.Database][r.Dataset])
				delete(a.objects, r.Key)
			case job.Status == ingest.Success:
				a.found.Truncated = append(a.found.Truncated, fmt.Sprintf("I2: job %s is a success, and dataset %s is %s", job.ID, r.Dataset, r.State))
			}
		}
		if published {
			a.holdManifest(ctx, job)
			delete(a.objects, upload.ManifestKey(job.Database, job.ID))
		}
	}
	for key, size := range a.objects {
		a.found.Orphans = append(a.found.Orphans, fmt.Sprintf("I7: no record names the object %s of %d bytes", key, size))
	}
}

// holdObject reads an object to its end.
func (a *audit) holdObject(ctx context.Context, job ingest.Job, r ingest.Result, file File) {
	wrong := func(format string, args ...any) {
		a.found.Truncated = append(a.found.Truncated, fmt.Sprintf("I2: %s of job %s: ", r.Key, job.ID)+fmt.Sprintf(format, args...))
	}
	out, err := a.system.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &a.system.Bucket, Key: &r.Key})
	if err != nil {
		wrong("it cannot be read: %v", err)
		return
	}
	defer out.Body.Close()
	sum := sha256.New()
	rows, err := records(io.TeeReader(out.Body, sum))
	if err != nil {
		wrong("it is no CSV: %v", err)
		return
	}
	if got := hex.EncodeToString(sum.Sum(nil)); rows != r.Rows || got != r.SHA256 {
		wrong("it has %d rows and SHA-256 %s; the record says %d and %s", rows, got, r.Rows, r.SHA256)
	}
	if file != (File{}) && (r.Rows != file.Rows || r.SHA256 != file.SHA256) {
		wrong("the record says %d rows and SHA-256 %s; the source has %d rows, whose file has %s", r.Rows, r.SHA256, file.Rows, file.SHA256)
	}
	fence, err := strconv.ParseInt(out.Metadata["fence"], 10, 64)
	if err != nil || out.Metadata["job"] != job.ID || fence > job.Fence {
		wrong("its metadata %v is not of this job, or of a fence after %d", out.Metadata, job.Fence)
	}
}

// records counts the records of a CSV file, without its header.
func records(r io.Reader) (n int64, err error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	reader := csv.NewReader(buffered)
	reader.ReuseRecord = true
	for ; ; n++ {
		if _, err := reader.Read(); errors.Is(err, io.EOF) {
			return n - 1, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// holdManifest holds the manifest of a job against its record.
func (a *audit) holdManifest(ctx context.Context, job ingest.Job) {
	key := upload.ManifestKey(job.Database, job.ID)
	wrong := func(format string, args ...any) {
		a.found.Truncated = append(a.found.Truncated, fmt.Sprintf("I2: manifest %s: ", key)+fmt.Sprintf(format, args...))
	}
	out, err := a.system.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &a.system.Bucket, Key: &key})
	if err != nil {
		wrong("it cannot be read: %v", err)
		return
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		wrong("it cannot be read: %v", err)
		return
	}
	manifest, err := upload.DecodeManifest(body)
	if err != nil {
		wrong("%v", err)
		return
	}
	if manifest.JobID != job.ID || manifest.Status != job.Status {
		wrong("it is of job %s, %s; the job is %s", manifest.JobID, manifest.Status, job.Status)
	}
	told := manifest.Results()
	for _, r := range job.Results {
		t := told.Of(r.Dataset)
		if t == nil || t.State != r.State || t.SHA256 != r.SHA256 || t.Rows != r.Rows {
			wrong("it tells of dataset %s: %+v; the record says %+v", r.Dataset, t, r)
		}
	}
}

// holdUploads wants no upload left (I4).
func (a *audit) holdUploads() {
	var left []string
	a.system.within(restPatience, func() bool {
		left = a.system.Uploads()
		return len(left) == 0
	})
	for _, key := range left {
		a.found.Orphans = append(a.found.Orphans, "I4: an upload is left at "+key)
	}
}

// Uploads returns the keys of the multipart uploads under way.
func (s *System) Uploads() (keys []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), restPatience)
	defer cancel()
	pages := s3.NewListMultipartUploadsPaginator(s.s3, &s3.ListMultipartUploadsInput{Bucket: &s.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			s.t.Fatalf("listing the uploads: %v", err)
		}
		for _, u := range page.Uploads {
			keys = append(keys, *u.Key)
		}
	}
	return keys
}

// Objects returns the keys of the objects in the bucket that hold data: manifests are left out.
func (s *System) Objects() (keys []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), restPatience)
	defer cancel()
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &s.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			s.t.Fatalf("listing the objects: %v", err)
		}
		for _, o := range page.Contents {
			if !strings.Contains(*o.Key, "/_manifests/") {
				keys = append(keys, *o.Key)
			}
		}
	}
	return keys
}

// holdQueues wants every queue drained, but for the dead letters that are meant to be there (I6).
func (a *audit) holdQueues() {
	var left []string
	a.system.within(restPatience, func() bool {
		left = nil
		for line := range strings.Lines(a.system.Rabbit("-p", a.system.VHost, "list_queues", "name", "messages")) {
			name, count, ok := strings.Cut(strings.TrimSpace(line), "\t")
			want := "0"
			if name == broker.DeadQueue {
				want = strconv.Itoa(a.system.letters)
			}
			if ok && strings.HasPrefix(name, "ingesta.") && count != want {
				left = append(left, fmt.Sprintf("I6: queue %s holds %s messages, want %s", name, count, want))
			}
		}
		return len(left) == 0
	})
	a.found.Other = append(a.found.Other, left...)
}

// usage is what a process takes.
type usage struct{ goroutines, resident float64 }

// What a process at rest may have more than when it had just started: connections that are kept
// alive, channels that were opened when first needed, a heap that has been used.
const (
	moreGoroutines = 60
	moreResident   = 96 << 20
)

// Baseline notes what the running processes take at rest. Audit holds every process against it.
func (s *System) Baseline() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		if u, err := measure(p); err == nil && p.Alive() {
			s.baselines[p.Name] = u
		}
	}
}

// holdProcesses wants goroutines and memory back where they were (I6). Processes of a name that has
// no baseline are held against nothing.
func (a *audit) holdProcesses() {
	s := a.system
	s.mu.Lock()
	processes := slices.Clone(s.processes)
	s.mu.Unlock()
	for _, p := range processes {
		base, known := s.baselines[p.Name]
		if !known || !p.Alive() {
			continue
		}
		var now usage
		var err error
		if !s.within(restPatience, func() bool {
			now, err = measure(p)
			return err == nil && now.goroutines <= base.goroutines+moreGoroutines && now.resident <= base.resident+moreResident
		}) {
			a.found.Other = append(a.found.Other, fmt.Sprintf("I6: %s had %.0f goroutines and %.0f bytes at rest, and has %.0f and %.0f (%v)",
				p.Name, base.goroutines, base.resident, now.goroutines, now.resident, err))
		}
	}
}

// Resident returns the memory that the process has now, in bytes.
func (p *Process) Resident() (bytes float64, err error) {
	u, err := measure(p)
	return u.resident, err
}

// measure reads the metrics of a process.
func measure(p *Process) (u usage, err error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(p.URL + "/metrics")
	if err != nil {
		return usage{}, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		into := map[string]*float64{"go_goroutines": &u.goroutines, "process_resident_memory_bytes": &u.resident}[name]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseFloat(value, 64); err != nil {
			return usage{}, err
		}
	}
	return u, lines.Err()
}
