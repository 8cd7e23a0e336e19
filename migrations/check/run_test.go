package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// says returns a check that takes a while and finds one thing.
func says(service Service, title string, takes time.Duration, outcome Outcome) Check {
	return Check{Service: service, Title: title, Run: func(ctx context.Context) []Finding {
		wait(ctx, takes)
		return []Finding{{Outcome: outcome}}
	}}
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// The checks run side by side, and the report has their order, whichever ends first.
func TestRunSideBySideInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		report := Run(t.Context(), []Check{
			says(MySQL, "slow", 3*time.Second, OK("")),
			says(Redis, "quick", time.Second, OK("")),
			says(S3, "none", 0, Skip("not configured")),
			says(MySQL, "middle", 2*time.Second, Fail(errors.New("no"), "do it")),
		}, 4*time.Second)
		want := []string{"mysql slow ok 3s", "redis quick ok 1s", "s3 none skipped 0s", "mysql middle failed 2s"}
		var got []string
		for _, x := range report.Results {
			got = append(got, fmt.Sprint(x.Service, " ", x.Title, " ", x.Status, " ", x.Elapsed))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the report has %q, want %q", got, want)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("all took %v, want the 3 s of the slowest: they run side by side", took)
		}
		if report.OK() {
			t.Error("a report with a failure is OK")
		}
	})
}

// A check that heeds its context reports by itself, in the words of the timeout.
func TestRunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := Check{Service: RabbitMQ, Title: "AMQP", Run: func(ctx context.Context) []Finding {
			return Walk(ctx,
				Step{Title: "connection", Run: func(context.Context) Outcome { return OK("RabbitMQ 4.0.5") }},
				Step{Title: "publish", Run: func(ctx context.Context) Outcome {
					<-ctx.Done()
					return Fail(fmt.Errorf("reading: %w", ctx.Err()), "look at its log")
				}},
				Step{Title: "get", Run: func(context.Context) Outcome { return OK("never asked") }},
			)
		}}
		start := time.Now()
		report := Run(t.Context(), []Check{hangs, says(Redis, "ping", 0, OK(""))}, 5*time.Second)
		want := []Outcome{OK("RabbitMQ 4.0.5"), Fail(errors.New("no answer within 5s"), "look at its log"), Skip("no time was left"), OK("")}
		expect(t, report, want)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want the 5 s of one check", took)
		}
	})
}

// A check that ignores its context is a failure, and is not waited for.
func TestRunTimeoutIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release) // the bubble ends only when it has
		deaf := Check{Service: S3, Title: "bucket", Run: func(context.Context) []Finding {
			<-release
			return []Finding{{Outcome: OK("too late")}}
		}}
		start := time.Now()
		report := Run(t.Context(), []Check{deaf}, 5*time.Second)
		if len(report.Results) != 1 {
			t.Fatalf("got %+v, want one failure", report.Results)
		}
		got := report.Results[0]
		if got.Status != StatusFailed || got.Title != "bucket" || got.Cause != "no answer within 5s" || got.NextStep == "" {
			t.Errorf("got %+v, want a failure of the bucket that names its 5 s and a next step", got)
		}
		if !strings.Contains(strings.Join(got.Lines, " "), "left running") {
			t.Errorf("the lines %q do not say that the check goes on", got.Lines)
		}
		if took := time.Since(start); took != 5*time.Second+grace {
			t.Errorf("took %v, want 5 s and the grace of %v", took, grace)
		}
	})
}

// An interrupt ends every check at once.
func TestRunInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("interrupted")) })
		start := time.Now()
		report := Run(ctx, []Check{{Service: MySQL, Title: "tables", Run: func(ctx context.Context) []Finding {
			return Walk(ctx, Step{Title: "tables", Run: func(ctx context.Context) Outcome {
				wait(ctx, time.Minute)
				return Fail(ctx.Err(), "try again")
			}})
		}}}, time.Minute)
		expect(t, report, []Outcome{Fail(errors.New("interrupted"), "try again")})
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want to end with the interrupt after 1 s", took)
		}
	})
}

// A defect of a check is its own failure, and nobody else's.
func TestRunDefects(t *testing.T) {
	var nothing map[string]int
	report := Run(t.Context(), []Check{
		{Service: MySQL, Title: "panics", Run: func(context.Context) []Finding { nothing["x"] = 1; return nil }},
		{Service: Redis, Title: "silent", Run: func(context.Context) []Finding { return nil }},
		{Service: S3, Title: "zero", Run: func(context.Context) []Finding { return []Finding{{}} }},
		{Service: MongoDB, Title: "walks", Run: func(ctx context.Context) []Finding {
			return Walk(ctx,
				Step{Title: "one", Gate: true, Run: func(context.Context) Outcome { return OK("") }},
				Step{Title: "two", Run: func(context.Context) Outcome { nothing["x"] = 1; return OK("") }},
				Step{Title: "three", Run: func(context.Context) Outcome { return OK("") }},
			)
		}},
		says(PostgreSQL, "works", 0, OK("fine")),
	}, time.Minute)
	want := []struct {
		title  string
		status Status
		cause  string
	}{
		{"panics", StatusFailed, "the check panicked: assignment to entry in nil map"},
		{"silent", StatusFailed, "the check found nothing to say"},
		{"zero", StatusFailed, ""},
		{"one", StatusOK, ""},
		{"two", StatusFailed, "the check panicked: assignment to entry in nil map"},
		{"three", StatusOK, ""},
		{"works", StatusOK, ""},
	}
	if len(report.Results) != len(want) {
		t.Fatalf("got %d findings, want %d: %+v", len(report.Results), len(want), report.Results)
	}
	for i, w := range want {
		got := report.Results[i]
		if got.Title != w.title || got.Status != w.status || got.Cause != w.cause {
			t.Errorf("finding %d is %q %v %q, want %q %v %q", i, got.Title, got.Status, got.Cause, w.title, w.status, w.cause)
		}
		if strings.Contains(got.Cause, "panicked") && (got.NextStep != reportIt || !strings.Contains(strings.Join(got.Lines, "\n"), "run_test.go")) {
			t.Errorf("%s: next step %q and lines %q, want to be told where the defect is", got.Title, got.NextStep, got.Lines)
		}
	}
}

// One server that is down is one failure: what lies behind the gate is skipped.
func TestWalkGate(t *testing.T) {
	taken := 0
	step := func(title string, gate bool, outcome Outcome) Step {
		return Step{Title: title, Gate: gate, Run: func(context.Context) Outcome { taken++; return outcome }}
	}
	for _, c := range []struct {
		name  string
		gate  bool
		first Outcome
		want  Status
		taken int
	}{
		{"an open gate", true, OK(""), StatusOK, 2},
		{"a closed gate", true, Fail(errors.New("connection refused"), "make up"), StatusSkipped, 1},
		{"a gate that nobody tried", true, Skip("not configured"), StatusSkipped, 1},
		{"a failure that is no gate", false, Fail(errors.New("a table is missing"), "migrate up"), StatusOK, 2},
	} {
		taken = 0
		got := Walk(t.Context(), step("first", c.gate, c.first), step("second", false, OK("")))
		if len(got) != 2 || got[0].Status != c.first.Status || got[1].Title != "second" || got[1].Status != c.want || taken != c.taken {
			t.Errorf("%s: got %+v after %d steps, want the second one %v after %d", c.name, got, taken, c.want, c.taken)
		}
		if c.want == StatusSkipped && got[1].Detail != "not reachable" {
			t.Errorf("%s: the second is skipped for %q, want not reachable", c.name, got[1].Detail)
		}
	}
}

func TestSelect(t *testing.T) {
	var all []Check
	for _, s := range []Service{MySQL, Redis, MySQL, Docker} {
		all = append(all, Check{Service: s})
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, "mysql redis mysql docker"},
		{[]string{"mysql"}, "mysql mysql"},
		{[]string{"docker", "mysql"}, "mysql mysql docker"},
		{[]string{"s3"}, ""},
	} {
		chosen, err := Select(all, c.names...)
		var got []string
		for _, x := range chosen {
			got = append(got, string(x.Service))
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("Select %q: got %q, %v; want %q", c.names, got, err, c.want)
		}
	}
	const want = `unknown service "mariadb": use docker, mysql, rabbitmq, redis, s3, mongodb or postgresql`
	if _, err := Select(all, "redis", "mariadb"); err == nil || err.Error() != want {
		t.Errorf("Select of an unknown service: %v, want %s", err, want)
	}
}

// expect compares the report's outcomes.
func expect(t *testing.T, report Report, want []Outcome) {
	t.Helper()
	if len(report.Results) != len(want) {
		t.Fatalf("got %d findings, want %d: %+v", len(report.Results), len(want), report.Results)
	}
	for i, w := range want {
		got := report.Results[i].Outcome
		if got.Status != w.Status || got.Detail != w.Detail || got.Cause != w.Cause || got.NextStep != w.NextStep {
			t.Errorf("finding %d, %s, is %+v, want %+v", i, report.Results[i].Title, got, w)
		}
	}
}
