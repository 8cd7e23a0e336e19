package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/jobstore"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// letters is the list of dead letters as clients read it.
type letters struct {
	Total   int
	Letters []struct {
		ID, Database, Code, Reason string
		JobID                      string    `json:"job_id"`
		BuriedAt                   time.Time `json:"buried_at"`
		Replayable                 bool
		WhyNot                     struct{ Code, Detail string } `json:"why_not"`
		Command                    *ingest.Command
	} `json:"dead_letters"`
}

func (g *running) letters() letters {
	g.t.Helper()
	a := g.call("GET", "/api/ingesta/dead-letters", "")
	var list letters
	if err := json.Unmarshal(a.body, &list); err != nil || a.status != 200 {
		g.t.Fatalf("status %d, %v: %s", a.status, err, a.body)
	}
	return list
}

// bury plays the worker of MySQL that gives up every command it gets, until n are buried.
func (g *running) bury(n int, before func(ingest.Command)) {
	g.t.Helper()
	var cfg struct{ Broker broker.Config }
	stacktest.Load(g.t, &cfg, "RABBITMQ_VHOST="+g.vhost)
	b := broker.New(cfg.Broker, "gateway-test", []ingest.Database{ingest.MySQL}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	buried := make(chan struct{}, n)
	var parts sync.WaitGroup
	parts.Go(func() { _ = b.Run(ctx) })
	stacktest.Eventually(g.t, "the worker can bury", func() bool { return b.Ready(ctx) == nil })
	parts.Go(func() {
		_ = b.Consume(ctx, ingest.MySQL, 1, func(ctx context.Context, d *broker.Delivery) {
			if command, err := ingest.DecodeCommand(d.Body); err == nil {
				before(command)
			}
			if err := b.Bury(ctx, d, ingest.SourceUnavailable, "the server is away"); err != nil {
				g.t.Errorf("burying: %v", err)
			}
			buried <- struct{}{}
		})
	})
	for range n {
		select {
		case <-buried:
		case <-time.After(patience):
			g.t.Error("no command came to be buried")
		}
	}
	cancel()
	parts.Wait()
}

// fail plays the worker that ends the job with one dataset done and the others failed.
func (g *running) fail(command ingest.Command) {
	claim, err := g.store.Claim(g.t.Context(), jobstore.ClaimRequest{Command: command, Worker: "test"})
	if err != nil || claim.Lease == nil {
		g.t.Errorf("claiming the job: %v, %s", err, claim.Outcome)
		return
	}
	results := slices.Clone(claim.Job.Results)
	for i := range results {
		results[i].State, results[i].Code = ingest.Broken, ingest.SourceUnavailable
	}
	results[0] = ingest.Result{Dataset: results[0].Dataset, Key: results[0].Key, State: ingest.Done, URL: "s3://b/k", Rows: 1}
	if _, err := claim.Lease.Finish(g.t.Context(), jobstore.Finish{Status: ingest.Partial, Results: results}); err != nil {
		g.t.Errorf("finishing the job: %v", err)
	}
}

func TestReplayDeadLetter(t *testing.T) {
	g := start(t)
	if list := g.letters(); list.Total != 0 || list.Letters == nil || len(list.Letters) != 0 {
		t.Errorf("an empty queue is listed as %+v", list)
	}
	var jobs []ingest.Job
	for range 3 {
		jobs = append(jobs, g.call("POST", "/api/ingesta/mysql", "").job(t))
	}
	g.bury(3, g.fail)
	stacktest.Eventually(t, "all letters are listed", func() bool { return g.letters().Total == 3 })
	list := g.letters()
	for i, l := range list.Letters {
		if l.JobID != jobs[i].ID || !l.Replayable || l.Database != "mysql" || l.Code != "source_unavailable" || l.Reason != "the server is away" ||
			time.Since(l.BuriedAt).Abs() > time.Minute || l.Command == nil || len(l.Command.Targets) != 2 {
			t.Errorf("letter %d is %+v, want that of job %s", i, l, jobs[i].ID)
		}
	}

	// Many clients at once: one job.
	path := "/api/ingesta/dead-letters/" + list.Letters[1].ID + "/replay"
	var (
		mu      sync.Mutex
		made    = map[string]int{}
		replays sync.WaitGroup
	)
	for range 6 {
		replays.Go(func() {
			a := g.call("POST", path, "", "X-Request-Id: req-replay")
			if a.status != 202 || a.header.Get("Retry-After") == "" {
				t.Errorf("status %d: %s", a.status, a.body)
				return
			}
			job := a.job(t)
			if a.header.Get("Location") != "/api/ingesta/jobs/"+job.ID || job.RetryOf != jobs[1].ID || len(job.Results) != 1 || job.Results.Of("compras") == nil {
				t.Errorf("headers %v: %s", a.header, a.body)
			}
			mu.Lock()
			defer mu.Unlock()
			made[job.ID]++
		})
	}
	replays.Wait()
	commands := g.commands(ingest.MySQL)
	if len(made) != 1 || len(commands) != 1 || made[commands[0].JobID] != 6 || commands[0].RetryOf != jobs[1].ID || commands[0].RequestID != "req-replay" {
		t.Errorf("the replays made %v and the commands %+v, want one", made, commands)
	}
	if left := g.letters(); left.Total != 2 || left.Letters[0].ID != list.Letters[0].ID || left.Letters[1].ID != list.Letters[2].ID {
		t.Errorf("left are %+v, want the other two in their order", left)
	}

	// The same work by way of the job: the letter stays, and another job is made.
	a := g.call("POST", "/api/ingesta/jobs/"+jobs[0].ID+"/retry", "")
	if job := a.job(t); a.status != 202 || a.header.Get("Location") != "/api/ingesta/jobs/"+job.ID || job.RetryOf != jobs[0].ID || len(job.Results) != 1 || job.Results.Of("compras") == nil {
		t.Errorf("retrying: status %d, headers %v: %s", a.status, a.header, a.body)
	}
	if got := g.commands(ingest.MySQL); len(got) != 1 || got[0].RetryOf != jobs[0].ID {
		t.Errorf("the retry sent the commands %+v", got)
	}
	for path, want := range map[string]string{
		"/api/ingesta/jobs/" + commands[0].JobID + "/retry":                "409 job_not_over",
		"/api/ingesta/jobs/0196f0a1-0000-7000-8000-000000000001/retry":     "404 job_not_found",
		"/api/ingesta/dead-letters/" + strings.Repeat("0", 32) + "/replay": "404 dead_letter_not_found",
	} {
		if a := g.call("POST", path, ""); fmt.Sprint(a.status, " ", a.code()) != want {
			t.Errorf("%s got %d %s, want %s", path, a.status, a.code(), want)
		}
	}
}

// A letter of a job that has succeeded, or is none at all, is listed with the reason and stays.
func TestDeadLettersThatStay(t *testing.T) {
	g := start(t)
	g.call("POST", "/api/ingesta/mysql", "").job(t)
	stacktest.Management(t, "POST", "/api/exchanges/"+g.vhost+"/"+broker.CommandsExchange+"/publish", map[string]any{
		"routing_key": "mysql", "payload": "{ not a command", "payload_encoding": "string", "properties": map[string]any{},
	}, nil)
	g.bury(2, func(c ingest.Command) {
		job, err := g.store.Get(t.Context(), c.JobID)
		if err != nil {
			t.Errorf("reading the job: %v", err)
			return
		}
		g.finish(job)
	})
	stacktest.Eventually(t, "both letters are listed", func() bool { return g.letters().Total == 2 })
	for i, want := range []string{"job_succeeded", "dead_letter_unreadable"} {
		l := g.letters().Letters[i]
		if l.Replayable || l.WhyNot.Code != want || l.WhyNot.Detail == "" {
			t.Errorf("letter %d is %+v, want it not to be replayed: %s", i, l, want)
		}
		if a := g.call("POST", "/api/ingesta/dead-letters/"+l.ID+"/replay", ""); a.status != 409 || a.code() != want {
			t.Errorf("replaying letter %d got %d: %s", i, a.status, a.body)
		}
	}
	if list := g.letters(); list.Total != 2 {
		t.Errorf("%d letters are left, want both", list.Total)
	}
}

// With a server away requests are refused as those for new jobs are, and nothing is lost.
func TestDeadLettersWithoutServers(t *testing.T) {
	g := start(t)
	job := g.call("POST", "/api/ingesta/mysql", "").job(t)
	g.bury(1, g.fail)
	stacktest.Eventually(t, "the letter is listed", func() bool { return g.letters().Total == 1 })
	id := g.letters().Letters[0].ID
	requests := [][2]string{
		{"GET", "/api/ingesta/dead-letters"}, {"POST", "/api/ingesta/dead-letters/" + id + "/replay"}, {"POST", "/api/ingesta/jobs/" + job.ID + "/retry"},
	}
	outages := map[string]struct {
		begin, end func()
		code       string
	}{
		"Redis cut":    {g.redis.Cut, g.redis.Mend, "redis_unavailable"},
		"Redis silent": {g.redis.Silence, g.redis.Mend, "redis_unavailable"},
		"RabbitMQ cut": {g.rabbitmq.Cut, g.rabbitmq.Mend, "rabbitmq_unavailable"},
	}
	for name, outage := range outages {
		outage.begin()
		if name == "RabbitMQ cut" {
			stacktest.Eventually(t, "the gateway knows", func() bool { return g.call("GET", "/ready", "").status == 503 })
		}
		for _, request := range requests {
			begun := time.Now()
			a := g.call(request[0], request[1], "")
			if a.status != 503 || a.code() != outage.code || a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %v got %d: %s", name, request, a.status, a.body)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("%s: %v took %s", name, request, took)
			}
		}
		outage.end()
		stacktest.Eventually(t, "the gateway recovers", func() bool { return g.call("GET", "/ready", "").status == 200 })
	}
	if n := len(g.existing()); n != 1 {
		t.Errorf("%d jobs exist after refusals, want the first alone", n)
	}
	stacktest.Eventually(t, "the letter is there", func() bool { return g.letters().Total == 1 })
	if a := g.call("POST", "/api/ingesta/dead-letters/"+id+"/replay", "", "Prefer: wait=0"); a.status != 202 || a.header.Get("Preference-Applied") != "wait=0" {
		t.Errorf("afterwards the replay got %d: %s", a.status, a.body)
	}
}

// A retry may be waited for, as a new ingestion may.
func TestRetryPreferWait(t *testing.T) {
	g := start(t)
	job := g.call("POST", "/api/ingesta/mysql", "").job(t)
	for _, command := range g.commands(ingest.MySQL) {
		g.fail(command)
	}
	done := make(chan answered, 1)
	go func() {
		done <- g.call("POST", "/api/ingesta/jobs/"+job.ID+"/retry", "", "Prefer: wait=60", "Idempotency-Key: once")
	}()
	var commands []ingest.Command
	stacktest.Eventually(t, "the command arrives", func() bool {
		commands = append(commands, g.commands(ingest.MySQL)...)
		return len(commands) == 1
	})
	again, err := g.store.Get(t.Context(), commands[0].JobID)
	if err != nil {
		t.Fatal(err)
	}
	g.finish(again)
	if a := <-done; a.status != 200 || a.job(t).Status != ingest.Success || a.header.Get("Preference-Applied") != "wait=60" {
		t.Errorf("status %d, headers %v: %s", a.status, a.header, a.body)
	}
	if a := g.call("POST", "/api/ingesta/jobs/"+job.ID+"/retry", "", "Idempotency-Key: once"); a.status != 202 || a.job(t).ID != again.ID || a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repetition got %d, headers %v: %s", a.status, a.header, a.body)
	}
	if a := g.call("POST", "/api/ingesta/mysql", "", "Idempotency-Key: once"); a.status != 422 || a.code() != "idempotency_key_reused" {
		t.Errorf("the key for another request got %d: %s", a.status, a.body)
	}
}
