package jobs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/internal/flaky"
	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// cemetery is a fixture whose dead letters are those of a real broker.
type cemetery struct {
	*fixture
	vhost    string
	rabbitmq *flaky.Proxy
}

func newCemetery(t *testing.T, override ...string) *cemetery {
	t.Helper()
	c := &cemetery{fixture: newFixture(t, override...), vhost: stacktest.VHost(t)}
	stacktest.Policies(t, c.vhost)
	var cfg struct{ Broker broker.Config }
	stacktest.Load(t, &cfg, "RABBITMQ_VHOST="+c.vhost)
	c.rabbitmq = flaky.New(t, cfg.Broker.Host, cfg.Broker.Port)
	cfg.Broker.Host, cfg.Broker.Port = "127.0.0.1", c.rabbitmq.Port()
	c.broker.letters = c.connect(cfg.Broker)
	return c
}

// connect runs one more connection to the broker until the test ends.
func (c *cemetery) connect(cfg broker.Config) *broker.Broker {
	c.t.Helper()
	b := broker.New(cfg, "jobs-test", []ingest.Database{ingest.MySQL}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			c.t.Errorf("running a connection to the broker: %v", err)
		}
	})
	c.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	stacktest.Eventually(c.t, "the broker is ready", func() bool { return b.Ready(c.t.Context()) == nil })
	return b
}

// another returns one more gateway: a service of the same jobs with a broker of its own.
func (c *cemetery) another() *jobs.Service {
	c.t.Helper()
	datasets, err := catalog.Load("")
	if err != nil {
		c.t.Fatal(err)
	}
	return c.anotherOf(datasets)
}

func (c *cemetery) anotherOf(datasets *catalog.Catalog) *jobs.Service {
	c.t.Helper()
	var cfg struct{ Broker broker.Config }
	stacktest.Load(c.t, &cfg, "RABBITMQ_VHOST="+c.vhost)
	return c.serviceOf(datasets, &fakeBroker{letters: c.connect(cfg.Broker)})
}

// bury puts a message among the dead letters and returns the id it has there.
func (c *cemetery) bury(body []byte, headers map[string]any) string {
	c.t.Helper()
	all := map[string]any{broker.HeaderCode: "source_unavailable", broker.HeaderReason: "the server is away", broker.HeaderBuriedAt: "2025-01-02T15:30:45Z"}
	maps.Copy(all, headers)
	before := c.ids()
	stacktest.Management(c.t, http.MethodPost, "/api/exchanges/"+c.vhost+"/"+broker.DeadExchange+"/publish", map[string]any{
		"routing_key": "mysql", "payload": base64.StdEncoding.EncodeToString(body), "payload_encoding": "base64",
		"properties": map[string]any{"delivery_mode": 2, "headers": all},
	}, nil)
	var after []string
	stacktest.Eventually(c.t, "the letter is there", func() bool {
		after = c.ids()
		return len(after) == len(before)+1
	})
	return after[len(after)-1]
}

// buryCommand buries the command of a job.
func (c *cemetery) buryCommand(command ingest.Command) string {
	c.t.Helper()
	body, err := json.Marshal(command)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.bury(body, nil)
}

// ids lists the ids of the letters.
func (c *cemetery) ids() (ids []string) {
	c.t.Helper()
	list, err := c.DeadLetters(c.t.Context(), jobs.MaxDeadLetters)
	if err != nil {
		c.t.Fatalf("listing the dead letters: %v", err)
	}
	for _, l := range list.Letters {
		ids = append(ids, l.ID)
	}
	return ids
}

var whoReplays = jobs.Request{RequestedBy: "eva", RequestID: "req-3"}

// forgotten is the command of a job that Redis does not know.
func forgotten() ingest.Command {
	return ingest.Command{
		Version: ingest.CommandVersion, JobID: unknownID, Database: ingest.MySQL,
		Targets: []ingest.Target{{Dataset: "compras", Key: "mysql/compras_20250102_153045.csv"}}, RequestedBy: "ana",
	}
}

func TestReplay(t *testing.T) {
	c := newCemetery(t)
	partial := c.accept()
	c.end(partial, "users")
	tests := map[string]struct {
		command ingest.Command
		want    []string
	}{
		"what a job left undone":      {partial.Command(), []string{"compras"}},
		"a job that nobody knows":     {forgotten(), []string{"compras"}},
		"a command for another queue": {ingest.Command{Version: 1, JobID: "0196f0a1-0000-7000-8000-00000000000b", Database: ingest.PostgreSQL, Targets: []ingest.Target{{Dataset: "ofertas", Key: "k"}}}, []string{"ofertas"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			id := c.buryCommand(tt.command)
			receipt, err := c.Replay(t.Context(), id, whoReplays)
			if err != nil || receipt.Replayed {
				t.Fatalf("got %+v, %v", receipt, err)
			}
			job := receipt.Jobs[0]
			if job.RetryOf != tt.command.JobID || job.ID == tt.command.JobID || job.RequestedBy != "eva" || job.RequestID != "req-3" || job.Database != tt.command.Database || !slices.Equal(datasets(job), tt.want) {
				t.Errorf("the new job is %+v, want it to export %v", job, tt.want)
			}
			for _, r := range job.Results {
				if slices.ContainsFunc(tt.command.Targets, func(old ingest.Target) bool { return old.Key == r.Key }) {
					t.Errorf("dataset %s has its old key %s", r.Dataset, r.Key)
				}
			}
			if c.broker.published(job.ID) != 1 {
				t.Error("the command of the new job was not published once")
			}
			if left := c.ids(); len(left) != 0 {
				t.Errorf("the letters are %v, want none", left)
			}
			again, err := c.Replay(t.Context(), id, whoReplays)
			if err != nil || !again.Replayed || again.Jobs[0].ID != job.ID {
				t.Errorf("the repetition got %+v, %v: want the same job", again, err)
			}
		})
	}
}

// What cannot be replayed is listed with the reason that the replay gives, and stays.
func TestLettersThatCannotBeReplayed(t *testing.T) {
	c := newCemetery(t)
	success, queued, running := c.accept(), c.accept(), c.accept()
	c.end(success, "users", "compras") // its command came twice, and the second died
	c.claim(running)
	command := func(change func(*ingest.Command)) []byte {
		cmd := forgotten()
		change(&cmd)
		body, err := json.Marshal(cmd)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	of := func(job ingest.Job) []byte { return command(func(cmd *ingest.Command) { *cmd = job.Command() }) }
	tests := map[string]struct {
		body   []byte
		code   jobs.Code
		detail string
		jobID  string
	}{
		"empty":            {nil, jobs.LetterUnreadable, "not valid JSON", ""},
		"binary":           {[]byte{0, 255, 7}, jobs.LetterUnreadable, "not valid JSON", ""},
		"another version":  {command(func(cmd *ingest.Command) { cmd.Version = 9 }), jobs.LetterUnreadable, "of version 9; known here is version 1", unknownID},
		"no dataset":       {command(func(cmd *ingest.Command) { cmd.Targets = nil }), jobs.LetterUnreadable, "names no dataset", unknownID},
		"a job id too odd": {command(func(cmd *ingest.Command) { cmd.JobID = "a b\n" }), jobs.LetterUnreadable, "job id", ""},
		"too large":        {append(command(func(*ingest.Command) {}), strings.Repeat(" ", ingest.MaxCommand)...), jobs.LetterUnreadable, "bytes", ""},
		"unknown database": {command(func(cmd *ingest.Command) { cmd.Database = "oracle" }), jobs.DatabaseGone, `"oracle"`, unknownID},
		"unknown dataset":  {command(func(cmd *ingest.Command) { cmd.Targets[0].Dataset = "gone" }), jobs.DatasetGone, `"gone"`, unknownID},
		"a success":        {of(success), jobs.Succeeded, success.ID, success.ID},
		"a queued job":     {of(queued), jobs.NotOver, queued.ID, queued.ID},
		"a running job":    {of(running), jobs.NotOver, running.ID, running.ID},
	}
	existing, _ := c.stands()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			id := c.bury(tt.body, nil)
			list, err := c.DeadLetters(t.Context(), jobs.MaxDeadLetters)
			if err != nil {
				t.Fatal(err)
			}
			l := list.Letters[len(list.Letters)-1]
			if l.ID != id || l.Replayable || l.WhyNot == nil || l.WhyNot.Code != tt.code || !strings.Contains(l.WhyNot.Detail, tt.detail) || l.JobID != tt.jobID || l.Size != len(tt.body) {
				t.Errorf("listed as %+v, %+v; want the reason %s with %q", l, l.WhyNot, tt.code, tt.detail)
			}
			if (l.Command == nil) != (tt.code == jobs.LetterUnreadable) {
				t.Errorf("the command listed is %+v", l.Command)
			}
			_, err = c.Replay(t.Context(), id, whoReplays)
			if refused := refusal(t, err, tt.code); refused.Message != l.WhyNot.Detail {
				t.Errorf("the replay says %q, the list %q", refused.Message, l.WhyNot.Detail)
			}
		})
	}
	if left := c.ids(); len(left) != len(tests) {
		t.Errorf("%d letters are left, want all %d", len(left), len(tests))
	}
	if after, _ := c.stands(); len(after) != len(existing) {
		t.Errorf("%d jobs were made by refused replays", len(after)-len(existing))
	}
	_, err := c.Replay(t.Context(), strings.Repeat("0", 32), whoReplays)
	refusal(t, err, jobs.LetterNotFound)
}

func TestListedLetters(t *testing.T) {
	c := newCemetery(t)
	job := c.accept()
	c.end(job, "users")
	c.buryCommand(job.Command())
	large := forgotten()
	for range 2000 {
		large.RequestedBy += "a very long name indeed, which nobody has "
	}
	c.buryCommand(large)
	list, err := c.DeadLetters(t.Context(), 2)
	if err != nil || list.Total != 2 || len(list.Letters) != 2 {
		t.Fatalf("got %+v, %v", list, err)
	}
	l := list.Letters[0]
	buried := time.Date(2025, 1, 2, 15, 30, 45, 0, time.UTC)
	if !l.Replayable || l.WhyNot != nil || l.Database != "mysql" || l.JobID != job.ID || l.Code != "source_unavailable" || l.Reason != "the server is away" || !l.BuriedAt.Equal(buried) {
		t.Errorf("the letter is %+v", l)
	}
	if l.Command == nil || l.Command.JobID != job.ID || len(l.Command.Targets) != 2 || l.Command.Targets[0].Dataset != "users" {
		t.Errorf("its command is %+v", l.Command)
	}
	if l := list.Letters[1]; !l.Replayable || l.Command != nil || l.Size < 64<<10 {
		t.Errorf("a large letter is listed with its command: %d bytes, replayable %t", l.Size, l.Replayable)
	}
	if list, err := c.DeadLetters(t.Context(), 1); err != nil || list.Total != 2 || len(list.Letters) != 1 || list.Letters[0].ID != l.ID {
		t.Errorf("with a limit of 1 got %+v, %v", list, err)
	}
}

// Two replays at once, on one gateway and on several, make one job and take the letter once.
func TestReplaysAtOnce(t *testing.T) {
	c := newCemetery(t)
	id := c.buryCommand(forgotten())
	services := []*jobs.Service{c.Service, c.another()}
	var (
		mu        sync.Mutex
		made      = map[string]int{}
		first     int
		replaying sync.WaitGroup
	)
	for n := range 8 {
		replaying.Go(func() {
			receipt, err := services[n%2].Replay(t.Context(), id, whoReplays)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made[receipt.Jobs[0].ID]++
			if !receipt.Replayed {
				first++
			}
		})
	}
	replaying.Wait()
	if existing, _ := c.stands(); len(made) != 1 || first != 1 || len(existing) != 1 {
		t.Errorf("the replays made %v, %d of them anew; Redis has %d jobs; want one", made, first, len(existing))
	}
	if left := c.ids(); len(left) != 0 {
		t.Errorf("the letters are %v, want none", left)
	}
}

// The new job is accepted and the connection breaks before the letter is removed, as in a crash at
// that moment: the letter is there again, and its replay answers the same job, even when neither the
// catalog nor Redis would allow it any more.
func TestReplayWhoseAckIsLost(t *testing.T) {
	c := newCemetery(t)
	job := c.accept()
	c.end(job, "users")
	id := c.buryCommand(job.Command())
	c.broker.set(func(f *fakeBroker) { f.taken = c.rabbitmq.Cut })
	first, err := c.Replay(t.Context(), id, whoReplays)
	if err != nil || first.Replayed {
		t.Fatalf("got %+v, %v: the job was accepted", first, err)
	}
	c.broker.set(func(f *fakeBroker) { f.taken = nil })
	c.rabbitmq.Mend()
	stacktest.Eventually(t, "the letter is there again", func() bool {
		list, err := c.DeadLetters(t.Context(), 1)
		return err == nil && len(list.Letters) == 1 && list.Letters[0].ID == id
	})
	smaller, err := catalog.Parse("test", []byte("version: 1\ndatabases:\n  - name: mysql\n    datasets:\n      - name: users\n        table: users\n"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.anotherOf(smaller).Replay(t.Context(), id, jobs.Request{RequestedBy: "someone else"})
	if err != nil || !again.Replayed || again.Jobs[0].ID != first.Jobs[0].ID {
		t.Errorf("the repetition got %+v, %v: want job %s", again, err, first.Jobs[0].ID)
	}
	if left := c.ids(); len(left) != 0 {
		t.Errorf("the letters are %v, want none", left)
	}
	if existing, _ := c.stands(); len(existing) != 2 {
		t.Errorf("Redis has %d jobs, want the old one and the new", len(existing))
	}
}

// The letter goes only once RabbitMQ has confirmed the new job.
func TestReplayUnconfirmed(t *testing.T) {
	c := newCemetery(t)
	id := c.buryCommand(forgotten())
	outcomes := []struct {
		err  error
		code jobs.Code
	}{{broker.ErrRefused, jobs.BrokerUnavailable}, {broker.ErrUnknown, jobs.Unconfirmed}, {broker.ErrUnavailable, jobs.Unconfirmed}}
	var recorded []string
	for _, o := range outcomes {
		c.broker.set(func(f *fakeBroker) { f.outcome = always(o.err) })
		_, err := c.Replay(t.Context(), id, whoReplays)
		recorded = refusal(t, err, o.code).JobIDs
		if left := c.ids(); !slices.Equal(left, []string{id}) {
			t.Fatalf("after %v the letters are %v, want it to stay", o.err, left)
		}
	}
	c.broker.set(func(f *fakeBroker) { f.outcome = nil })
	receipt, err := c.Replay(t.Context(), id, whoReplays)
	if err != nil || !receipt.Replayed || !slices.Equal(recorded, []string{receipt.Jobs[0].ID}) {
		t.Errorf("the repetition got %+v, %v: want the job recorded before, %v", receipt, err, recorded)
	}
	if left := c.ids(); len(left) != 0 {
		t.Errorf("the letters are %v, want none", left)
	}
}

// With Redis or RabbitMQ away requests for letters are refused in time, and no letter is touched.
func TestLettersWithoutServers(t *testing.T) {
	c := newCemetery(t)
	id := c.buryCommand(forgotten())
	refusedInTime := func(what string, code jobs.Code, request func() error) {
		t.Helper()
		began := time.Now()
		refusal(t, request(), code)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: the refusal took %s", what, took)
		}
	}
	replay := func() error { _, err := c.Replay(t.Context(), id, whoReplays); return err }
	list := func() error { _, err := c.DeadLetters(t.Context(), 10); return err }

	c.broker.set(func(f *fakeBroker) { f.notReady = &broker.NotReadyError{Reason: "it takes no messages: memory"} })
	refusedInTime("replaying to a blocked broker", jobs.BrokerUnavailable, replay)
	c.broker.set(func(f *fakeBroker) { f.notReady = nil })
	for name, begin := range map[string]func(){"cut": c.redis.Cut, "silent": c.redis.Silence} {
		begin()
		refusedInTime("replaying with Redis "+name, jobs.StoreUnavailable, replay)
		refusedInTime("listing with Redis "+name, jobs.StoreUnavailable, list)
		c.redis.Mend()
	}
	c.rabbitmq.Cut()
	stacktest.Eventually(t, "the connection is known to be lost", func() bool { return c.broker.letters.Ready(t.Context()) != nil })
	if n := c.broker.takes.Load(); n != 0 {
		t.Errorf("letters were taken %d times, with no hope", n)
	}
	refusedInTime("replaying without RabbitMQ", jobs.BrokerUnavailable, replay)
	refusedInTime("listing without RabbitMQ", jobs.BrokerUnavailable, list)
	c.rabbitmq.Mend()
	stacktest.Eventually(t, "RabbitMQ is back", func() bool { return list() == nil })
	if left := c.ids(); !slices.Equal(left, []string{id}) {
		t.Errorf("the letters are %v, want the one", left)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	if _, err := c.Replay(ctx, id, whoReplays); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that hangs up before its turn gets %v", err)
	}
	if existing, outbox := c.stands(); len(existing)+len(outbox) > 0 {
		t.Errorf("refusals left %v and %v", existing, outbox)
	}
}

// Whoever does not get a turn is told so, by a reason of its own.
func TestLettersInUse(t *testing.T) {
	c := newCemetery(t)
	id := c.buryCommand(forgotten())
	entered, release := make(chan struct{}), make(chan struct{})
	c.broker.set(func(f *fakeBroker) {
		f.outcome = func(ingest.Command) error { close(entered); <-release; return nil }
	})
	var replaying sync.WaitGroup
	replaying.Go(func() {
		if _, err := c.Replay(t.Context(), id, whoReplays); err != nil {
			t.Error(err)
		}
	})
	<-entered
	_, err := c.another().DeadLetters(t.Context(), 1)
	refusal(t, err, jobs.LettersBusy)
	close(release)
	replaying.Wait()
}
