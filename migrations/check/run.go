package check

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// grace is how long a check whose time is over may still take to return: it has connections to close.
const grace = 500 * time.Millisecond

// Run runs the checks side by side and returns when all have ended, or have been given up after
// timeout, which is for each of them, and a grace of half a second. When ctx ends, so does every check.
func Run(ctx context.Context, checks []Check, timeout time.Duration) Report {
	found := make([][]Result, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() { found[i] = c.bounded(ctx, timeout) })
	}
	running.Wait()
	return Report{Results: slices.Concat(found...)}
}

// bounded runs the check for at most timeout and the grace.
func (c Check) bounded(ctx context.Context, timeout time.Duration) []Result {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	start := time.Now()
	ended := make(chan []Finding, 1) // has room for the answer of a check that nobody waits for any more
	go func() { ended <- c.findings(ctx) }()

	var findings []Finding
	select {
	case findings = <-ended:
	case <-ctx.Done():
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case findings = <-ended:
		case <-late.C:
			findings = []Finding{{Outcome: Fail(context.Cause(ctx), "look whether the server hangs, and try again",
				"the check did not end with its time and was left running")}}
		}
	}

	results := make([]Result, len(findings))
	for i, f := range findings {
		if f.Title == "" {
			f.Title = c.Title
		}
		if len(findings) == 1 && f.Elapsed == 0 && f.Status != StatusSkipped {
			f.Elapsed = time.Since(start)
		}
		results[i] = Result{Service: c.Service, Finding: f}
	}
	return results
}

// findings runs the check and turns a panic, and silence, into a failure.
func (c Check) findings(ctx context.Context) (findings []Finding) {
	defer func() {
		if p := recover(); p != nil {
			findings = []Finding{{Outcome: panicked(p)}}
		}
	}()
	findings = c.Run(ctx)
	if len(findings) == 0 {
		return []Finding{{Outcome: Fail(errors.New("the check found nothing to say"), reportIt)}}
	}
	return findings
}

// reportIt is the next step when the check is to blame, and not the server.
const reportIt = "this is a defect of the check, not of the server: report it"

// panicked is the outcome of a look that panicked with p. It must be called by the deferred function.
func panicked(p any) Outcome {
	stack := strings.Split(strings.TrimSpace(string(debug.Stack())), "\n")
	return Fail(fmt.Errorf("the check panicked: %v", p), reportIt, stack...)
}

// Step is one of the looks of a Walk.
type Step struct {
	Title string
	Gate  bool // without its success nothing can be known of what follows
	Run   func(ctx context.Context) Outcome
}

// Walk takes the steps one after the other and returns a finding for each. After a gate that did
// not end well, the others are skipped as not reachable, so that one server that is down is one
// failure. When ctx ends during a step, that step fails for this reason and the others are skipped.
func Walk(ctx context.Context, steps ...Step) []Finding {
	findings := make([]Finding, 0, len(steps))
	closed := "" // why the rest is skipped
	for _, step := range steps {
		if closed != "" {
			findings = append(findings, Finding{Title: step.Title, Outcome: Skip(closed)})
			continue
		}
		start := time.Now()
		outcome := step.take(ctx)
		findings = append(findings, Finding{Title: step.Title, Outcome: outcome, Elapsed: time.Since(start)})
		switch {
		case ctx.Err() != nil:
			closed = "no time was left"
		case step.Gate && outcome.Status != StatusOK:
			closed = "not reachable"
		}
	}
	return findings
}

// take runs the step. A step that failed because ctx ended says so in the words of ctx's cause,
// which are clearer than what a driver makes of it.
func (s Step) take(ctx context.Context) (outcome Outcome) {
	defer func() {
		if p := recover(); p != nil {
			outcome = panicked(p)
		}
	}()
	outcome = s.Run(ctx)
	if outcome.Status == StatusFailed && ctx.Err() != nil {
		outcome.Cause = context.Cause(ctx).Error()
	}
	return outcome
}
