package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// patient are settings under which a Redis that is busy with a thousand requests is not taken for one
// that is away.
var patient = []string{"INGESTA_REDIS_TIMEOUT=20s", "INGESTA_REDIS_IO_TIMEOUT=20s"}

// watch watches a job until its end, and hands over what it sees.
func (f *fixture) watch(ctx context.Context, id string) (seen <-chan ingest.Job, ended <-chan error) {
	jobs, result := make(chan ingest.Job, 100), make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		result <- f.Watch(ctx, id, func(job ingest.Job) error {
			jobs <- job
			return nil
		})
		close(jobs)
	}()
	return jobs, result
}

// follower watches all jobs.
type follower struct {
	t       *testing.T
	ready   string // the position it began at
	updates chan jobs.Update
	ended   chan error
	stop    context.CancelFunc
}

// follow watches all jobs, and returns once it listens.
func (f *fixture) follow(after string) *follower {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*patience) // longer than until waits
	w := &follower{t: f.t, updates: make(chan jobs.Update, 1000), ended: make(chan error, 1), stop: cancel}
	ready := make(chan string, 1)
	go func() {
		w.ended <- f.WatchAll(ctx, after, func(position string) error {
			ready <- position
			return nil
		}, func(u jobs.Update) error {
			w.updates <- u
			return nil
		})
	}()
	f.t.Cleanup(cancel)
	select {
	case w.ready = <-ready:
	case err := <-w.ended:
		f.t.Fatalf("watching all jobs ended with %v before it began", err)
	case <-time.After(patience):
		f.t.Fatal("watching all jobs does not begin")
	}
	return w
}

// until returns the updates up to the first one that is as wanted.
func (w *follower) until(what string, wanted func(jobs.Update) bool) []jobs.Update {
	w.t.Helper()
	var seen []jobs.Update
	for {
		select {
		case u := <-w.updates:
			if seen = append(seen, u); wanted(u) {
				return seen
			}
		case err := <-w.ended:
			w.t.Fatalf("watching all jobs ended with %v before %s", err, what)
		case <-time.After(patience):
			w.t.Fatalf("%s is not told; what was: %+v", what, seen)
		}
	}
}

func statusOf(id string, status ingest.Status) func(jobs.Update) bool {
	return func(u jobs.Update) bool { return u.Job.ID == id && u.Job.Status == status }
}

// progress plays a worker that tells how far it is.
func (f *fixture) progress(lease *jobstore.Lease, job ingest.Job, rows int64) {
	f.t.Helper()
	err := lease.Progress(f.t.Context(), ingest.Results{{Dataset: job.Results[0].Dataset, State: ingest.Exporting, Rows: rows}})
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	job := f.accept()
	seen, ended := f.watch(t.Context(), job.ID)
	if got := <-seen; got.Status != ingest.Queued {
		t.Fatalf("first the job is %s, want it as it is: queued", got.Status)
	}
	lease := f.claim(job)
	if got := <-seen; got.Status != ingest.Running {
		t.Fatalf("then the job is %s, want running", got.Status)
	}
	f.progress(lease, job, 7)
	if got := <-seen; got.Progress.Rows != 7 {
		t.Fatalf("then the job has %d rows, want 7", got.Progress.Rows)
	}
	f.finish(lease)
	if got := <-seen; got.Status != ingest.Failed {
		t.Fatalf("then the job is %s, want its end", got.Status)
	}
	if err := <-ended; err != nil {
		t.Errorf("after the end the watch returns %v", err)
	}
	// Of a job that is over the end is all there is to see.
	seen, ended = f.watch(t.Context(), job.ID)
	if got, err := <-seen, <-ended; got.Status != ingest.Failed || err != nil {
		t.Errorf("watching a job that is over: %s, %v", got.Status, err)
	}
}

func TestWatchRefuses(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	never := func(ingest.Job) error { return errors.New("called") }
	refusal(t, f.Watch(t.Context(), "0196f0a1-0000-7000-8000-000000000001", never), jobs.NotFound)
	job := f.accept()
	called := errors.New("enough")
	if err := f.Watch(t.Context(), job.ID, func(ingest.Job) error { return called }); !errors.Is(err, called) {
		t.Errorf("an error of the function ends the watch with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.Watch(ctx, job.ID, func(ingest.Job) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("the end of its context ends the watch with %v", err)
	}
	f.redis.Cut()
	refusal(t, f.Watch(t.Context(), job.ID, never), jobs.StoreUnavailable)
	refusal(t, f.WatchAll(t.Context(), "", func(string) error { return called }, nil), jobs.StoreUnavailable)
	f.redis.Mend()
}

func TestWatchAll(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	before := f.accept()
	all := f.follow("")
	job := f.accept()
	all.until("the acceptance", statusOf(job.ID, ingest.Queued))
	lease := f.claim(job)
	all.until("the claim", statusOf(job.ID, ingest.Running))
	f.progress(lease, job, 7)
	seen := all.until("the progress", func(u jobs.Update) bool { return u.Job.Progress.Rows == 7 })
	if last := seen[len(seen)-1]; last.Position != "" {
		t.Errorf("progress has the position %s, want none", last.Position)
	}
	f.finish(lease)
	seen = all.until("the end", statusOf(job.ID, ingest.Failed))
	end := seen[len(seen)-1].Position
	if !jobstore.Position(end).After(jobstore.Position(all.ready)) {
		t.Errorf("the end has the position %q, want one after %q", end, all.ready)
	}
	all.stop()
	if err := <-all.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the end of its context ends the watch with %v", err)
	}

	// Whoever comes back is told what happened meanwhile, and no more than the latest of it.
	missed, waiting := f.accept(), f.accept()
	f.finish(f.claim(missed))
	all = f.follow(end)
	seen = all.until("the end of what was missed", statusOf(missed.ID, ingest.Failed))
	if len(seen) != 2 || seen[0].Job.ID != waiting.ID {
		t.Errorf("after %s was told %+v, want the two jobs accepted since, the one that waits first", end, seen)
	}
	f.finish(f.claim(before))
	seen = all.until("an end after that", statusOf(before.ID, ingest.Failed))
	if got := seen[len(seen)-1].Position; got == "" {
		t.Error("the end after that has no position")
	}
	for _, unknown := range []string{"1-1", "99999999999999-0", "x", "1-1-1"} {
		err := f.WatchAll(t.Context(), unknown, func(string) error { return errors.New("ready") }, nil)
		if !errors.Is(err, jobs.ErrPositionLost) {
			t.Errorf("watching from %q on: %v, want that it is lost", unknown, err)
		}
	}
}

// However many watch, and however much happens: a job is read four times a second, and told as often.
func TestWatchManyOfOne(t *testing.T) {
	const watchers = 1000
	f := newFixture(t, patient...)
	f.run(f.Service)
	job := f.accept()
	lease := f.claim(job)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var mu sync.Mutex
	calls := make([]int, watchers)
	shared := map[*ingest.Result]bool{} // as many as readings of the job
	var watching, looked sync.WaitGroup
	looked.Add(watchers)
	f.redis.Count("hgetall")
	goroutines := runtime.NumGoroutine()
	for i := range watchers {
		watching.Go(func() {
			look := sync.OnceFunc(looked.Done)
			defer look()
			err := f.Watch(ctx, job.ID, func(job ingest.Job) error {
				look()
				mu.Lock()
				defer mu.Unlock()
				calls[i]++
				shared[&job.Results[0]] = true
				return nil
			})
			if err != nil {
				t.Errorf("watcher %d: %v", i, err)
			}
		})
	}
	looked.Wait()
	if more := runtime.NumGoroutine() - goroutines; more > watchers+10 {
		t.Errorf("%d watchers take %d goroutines, want none but their own", watchers, more)
	}
	begun := time.Now()
	for rows := int64(1); time.Since(begun) < time.Second; rows++ {
		f.progress(lease, job, rows)
	}
	f.finish(lease)
	watching.Wait()
	most := int(time.Since(begun)/(250*time.Millisecond)) + 3 // the first and the last look, and the one before the flood
	if reads := f.redis.Count(""); reads > most {
		t.Errorf("the job was read %d times, want %d at most", reads, most)
	}
	if len(shared) > most {
		t.Errorf("%d values were made of the job, want %d at most, shared by all", len(shared), most)
	}
	if got := slices.Max(calls); got > most {
		t.Errorf("a watcher was told %d times, want %d at most", got, most)
	}
}

// A thousand who watch all jobs while nothing happens cost next to nothing; one who is slow costs as
// little, and sees in the end how everything stands.
func TestWatchAllMany(t *testing.T) {
	const listeners, allowed = 1000, 16 << 20 // most of it the stacks of their goroutines
	f := newFixture(t, patient...)
	f.run(f.Service)
	f.follow("").stop() // everything is in place
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := heap()
	ctx, cancel := context.WithCancel(t.Context())
	var listening, ready sync.WaitGroup
	ready.Add(listeners)
	stuck := make(chan struct{})
	var mu sync.Mutex
	ends := make([]map[string]bool, listeners)
	for i := range listeners {
		ends[i] = map[string]bool{}
		listening.Go(func() {
			listen := sync.OnceFunc(ready.Done)
			defer listen()
			err := f.WatchAll(ctx, "", func(string) error { listen(); return nil }, func(u jobs.Update) error {
				<-stuck
				mu.Lock()
				defer mu.Unlock()
				if u.Job.Status.Terminal() {
					ends[i][u.Job.ID] = true
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("listener %d ended with %v", i, err)
			}
		})
	}
	ready.Wait()
	if grown := heap() - before; grown > allowed && grown < 1<<62 {
		t.Errorf("%d idle listeners take %d KiB, want %d at most", listeners, grown>>10, allowed>>10)
	}
	want := map[string]bool{}
	for range 20 {
		job := f.accept()
		want[job.ID] = true
		f.finish(f.claim(job))
	}
	close(stuck)
	stacktest.Eventually(t, "everybody has seen every end", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return !slices.ContainsFunc(ends, func(seen map[string]bool) bool { return len(seen) != len(want) })
	})
	cancel()
	listening.Wait()
}

// One who is stuck while more happens than is kept for all is told from the history.
func TestWatchAllFallenBehind(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	ready, stuck, free := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	seen, positions := map[string]ingest.Status{}, []jobstore.Position{}
	ended := make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- f.WatchAll(ctx, "", func(string) error { close(ready); return nil }, func(u jobs.Update) error {
			once.Do(func() { close(stuck) })
			<-free
			mu.Lock()
			defer mu.Unlock()
			seen[u.Job.ID] = u.Job.Status
			if u.Position != "" {
				positions = append(positions, jobstore.Position(u.Position))
			}
			return nil
		})
	}()
	await := func(what string, happened <-chan struct{}) {
		t.Helper()
		select {
		case <-happened:
		case err := <-ended:
			t.Fatalf("watching ended with %v before %s", err, what)
		}
	}
	await("it listened", ready)
	first := f.accept()
	await("it was told anything", stuck)
	f.finish(f.claim(first))
	var subs []jobstore.Submission
	for i := range 1200 { // more than are kept
		subs = append(subs, jobstore.Submission{
			ID: fmt.Sprintf("job-%d", i), Database: ingest.MySQL, Targets: []ingest.Target{{Dataset: "users", Key: "k_{stamp}"}},
		})
	}
	if _, err := f.store.Accept(t.Context(), subs, nil); err != nil {
		t.Fatal(err)
	}
	last := f.follow("") // has the hub read them all
	job := f.accept()
	last.until("the latest job", statusOf(job.ID, ingest.Queued))
	close(free)
	stacktest.Eventually(t, "every job is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == len(subs)+2 && seen[first.ID] == ingest.Failed
	})
	if !slices.IsSortedFunc(positions, jobstore.Position.Compare) {
		t.Error("positions do not grow")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watching ended with %v, want the end of its context", err)
	}
}

// What happens while Redis is away is told when it is back, to who watches one job and who watches all.
func TestWatchAcrossOutage(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	job := f.accept()
	lease := f.claim(job)
	seen, ended := f.watch(t.Context(), job.ID)
	<-seen
	all := f.follow("")
	for range 3 {
		f.redis.Cut()
		f.progress(lease, job, 1)
		f.redis.Mend()
	}
	f.redis.Cut()
	other, err := f.store.Accept(t.Context(), []jobstore.Submission{{ID: "other", Database: ingest.MySQL, Targets: []ingest.Target{{Dataset: "users", Key: "k_{stamp}"}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.finish(lease)
	f.redis.Mend()
	var last ingest.Job
	for job := range seen {
		last = job
	}
	if err := <-ended; err != nil || last.Status != ingest.Failed {
		t.Errorf("the watch ended with %v after it saw the job %s, want its end", err, last.Status)
	}
	told := all.until("the end", statusOf(job.ID, ingest.Failed))
	if !slices.ContainsFunc(told, statusOf(other.Jobs[0].ID, ingest.Queued)) {
		t.Errorf("told was %+v, want also the job accepted meanwhile", told)
	}
	if told[len(told)-1].Position == "" {
		t.Error("the end has no position")
	}
}

// Redis comes back without its history: those who watch all are told so, the others go on.
func TestWatchAcrossLostHistory(t *testing.T) {
	f := newFixture(t)
	f.run(f.Service)
	job := f.accept()
	lease := f.claim(job)
	seen, ended := f.watch(t.Context(), job.ID)
	<-seen
	all := f.follow("")
	f.redis.Cut()
	f.command("DEL", "{"+f.stored.Prefix+"}:history")
	f.finish(lease)
	f.redis.Mend()
	if err := <-all.ended; !errors.Is(err, jobs.ErrPositionLost) {
		t.Errorf("watching all jobs ended with %v, want that the position is lost", err)
	}
	var last ingest.Job
	for job := range seen {
		last = job
	}
	if err := <-ended; err != nil || last.Status != ingest.Failed {
		t.Errorf("the watch ended with %v after it saw the job %s, want its end", err, last.Status)
	}
	all = f.follow("")
	job = f.accept()
	all.until("a job after that", statusOf(job.ID, ingest.Queued))
}

// command has Redis do what no part of the system does.
func (f *fixture) command(words ...string) {
	f.t.Helper()
	server := f.direct
	conn, err := (&net.Dialer{}).DialContext(f.t.Context(), "tcp", net.JoinHostPort(server.Host, strconv.Itoa(server.Port)))
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	say := func(words ...string) {
		_, err := fmt.Fprintf(conn, "*%d\r\n", len(words))
		for _, word := range words {
			_, err = fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(word), word)
		}
		answer := make([]byte, 1)
		if err == nil {
			_, err = io.ReadFull(conn, answer)
		}
		if err != nil || answer[0] == '-' {
			f.t.Fatalf("%v: %s, %v", words[0], answer, err)
		}
		if _, err := conn.Read(make([]byte, 100)); err != nil { // the rest of the answer
			f.t.Fatal(err)
		}
	}
	if password := server.Password.Reveal(); password != "" {
		say("AUTH", password)
	}
	say("SELECT", strconv.Itoa(server.DB))
	say(words...)
}
