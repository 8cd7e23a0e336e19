package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// composeProject is the name under which docker-compose.yml starts its containers.
const composeProject = "pharmavida-ingesta"

// oneShot are the services of docker-compose.yml that do their work and end.
var oneShot = []string{"db-init", "demo-data", "check"}

// Containers looks at the containers that docker-compose.yml started, with a finding for each of
// its services. dockerHost is the value of DOCKER_HOST, unix:// or tcp:// without TLS; empty means
// the usual socket. Nobody needs Docker: when no engine answers, or it has no container of ours,
// the check is skipped. An engine that does answer, but not as one, is a failure.
func Containers(dockerHost string) Check { return containers(dockerHost, composeProject) }

func containers(dockerHost, project string) Check {
	return Check{Service: Docker, Title: "containers", Run: func(ctx context.Context) []Finding {
		engine, err := newEngine(dockerHost)
		if err != nil {
			return []Finding{{Outcome: Skip(err.Error())}}
		}
		defer engine.close()
		listed, err := engine.containers(ctx, project)
		switch {
		case unreachable(err):
			return []Finding{{Outcome: Skip("no engine answers: " + err.Error())}}
		case err != nil:
			return []Finding{{Outcome: Fail(err, "see whether `docker ps` works, and whether DOCKER_HOST leads to the right engine")}}
		case len(listed) == 0:
			return []Finding{{Outcome: Skip("no container of the project " + project + ", for this engine or at all")}}
		}
		byService := map[string][]listedContainer{}
		for _, c := range listed {
			byService[c.service()] = append(byService[c.service()], c)
		}
		var findings []Finding
		for _, service := range slices.Sorted(maps.Keys(byService)) {
			start := time.Now()
			outcome := engine.judge(ctx, service, byService[service])
			findings = append(findings, Finding{Title: service, Outcome: outcome, Elapsed: time.Since(start)})
		}
		return findings
	}}
}

// judge looks at all containers of a service. The outcome is the worst of theirs.
func (e *engine) judge(ctx context.Context, service string, containers []listedContainer) Outcome {
	var outcomes []Outcome
	for _, c := range containers {
		details, err := e.inspect(ctx, c.ID)
		switch {
		case errors.Is(err, errNotFound):
			outcomes = append(outcomes, Skip("a container was removed while it was looked at"))
		case err != nil:
			outcomes = append(outcomes, Fail(err, "see whether `docker inspect` works"))
		default:
			outcomes = append(outcomes, details.judge(service))
		}
	}
	// StatusFailed is the least, and a container that was not judged says more than one that works.
	severity := func(o Outcome) int { return slices.Index([]Status{StatusFailed, StatusSkipped, StatusOK}, o.Status) }
	slices.SortStableFunc(outcomes, func(a, b Outcome) int { return severity(a) - severity(b) })
	worst := outcomes[0]
	for _, other := range outcomes[1:] {
		worst.Lines = append(worst.Lines, strings.Join(slices.DeleteFunc([]string{other.Detail, other.Cause}, func(s string) bool { return s == "" }), ": "))
	}
	return worst
}

// judge says whether the container is in the state that its service must have.
func (c inspectedContainer) judge(service string) Outcome {
	name := strings.TrimPrefix(c.Name, "/")
	lines := []string{"image " + c.Config.Image}
	if c.RestartCount > 0 {
		lines = append(lines, fmt.Sprintf("restarted %d times", c.RestartCount))
	}
	fail := func(cause, nextStep string) Outcome {
		if c.State.OOMKilled {
			cause += ", out of memory"
		}
		if c.State.Error != "" {
			cause += ": " + c.State.Error
		}
		return Fail(errors.New(name+" "+cause), nextStep, lines...)
	}
	look, start := "docker compose logs "+service, "docker compose up -d "+service
	ended := fmt.Sprintf("has ended with exit code %d", c.State.ExitCode)

	switch state := c.State.Status; state {
	case "running":
		switch c.health() {
		case "healthy":
			return OK(name+" is running and healthy", lines...)
		case "unhealthy":
			return fail("is running and not healthy", look)
		case "starting":
			return Skip(name+" is running; whether it is healthy is not known yet", lines...)
		default: // it has no health check
			return OK(name+" is running", lines...)
		}
	case "exited":
		switch {
		case c.State.ExitCode != 0:
			return fail(ended, look)
		case slices.Contains(oneShot, service):
			return OK(name+" has done its work", lines...)
		default:
			return fail(ended, start)
		}
	case "created":
		return fail("was made and never started", start)
	case "paused":
		return fail("is paused", "docker compose unpause "+service)
	case "restarting":
		return fail(fmt.Sprintf("ends and is restarted, again and again, the last time with exit code %d", c.State.ExitCode), look)
	default:
		return fail("is "+state, look)
	}
}
