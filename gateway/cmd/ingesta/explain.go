package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"

	"github.com/pharmavida/ingesta/gateway/client"
)

// explain puts an error into words, and says what to do next where that is known.
func (t *tool) explain(err error) string {
	if refused, ok := errors.AsType[*client.Problem](err); ok {
		return t.explainProblem(refused)
	}
	if lost, ok := errors.AsType[*client.Unreachable](err); ok {
		return t.explainUnreachable(lost)
	}
	if errors.Is(err, errOutOfTime) {
		return fmt.Sprintf("gave up after %s: --timeout allows more", t.flags.timeout)
	}
	return err.Error()
}

func (t *tool) explainUnreachable(lost *client.Unreachable) string {
	said := whyUnreachable(lost)
	if lost.URL != strings.TrimSuffix(t.settings.url.value, "/") {
		return said // it is not the gateway: a link of its own leads there
	}
	return fmt.Sprintf("%s: is the gateway running? Set --url or INGESTA_URL to its address (this one: %s)", said, t.settings.url.source)
}

// whyUnreachable says what happened, and no more.
func whyUnreachable(lost *client.Unreachable) string {
	switch {
	case errors.Is(lost.Cause, syscall.ECONNREFUSED):
		return fmt.Sprintf("cannot reach %s: nobody listens there", lost.URL)
	case errors.Is(lost.Cause, io.EOF), errors.Is(lost.Cause, io.ErrUnexpectedEOF), errors.Is(lost.Cause, syscall.ECONNRESET):
		return fmt.Sprintf("the connection to %s was lost", lost.URL)
	default:
		return fmt.Sprintf("cannot reach %s: %v", lost.URL, lost.Cause)
	}
}

func (t *tool) explainProblem(p *client.Problem) string {
	var said strings.Builder
	if p.Status == http.StatusUnauthorized && t.settings.token.value == "" {
		said.WriteString("the gateway asks for a token, and none is set")
	} else {
		said.WriteString(p.Detail)
	}
	for i, field := range p.Errors {
		if i > 0 { // the detail is the first one's
			fmt.Fprintf(&said, "\n  %s %s", field.Pointer+field.Parameter+field.Header, field.Detail)
		}
	}
	if next := t.nextStep(p); next != "" {
		fmt.Fprintf(&said, "\n%s", next)
	}
	if p.Status >= http.StatusInternalServerError && p.RequestID != "" {
		fmt.Fprintf(&said, "\nThe gateway's log knows it as request %s.", p.RequestID)
	}
	return said.String()
}

// nextStep says what to do about a refusal, where that is not plain.
func (t *tool) nextStep(p *client.Problem) string {
	switch {
	case p.Status == http.StatusUnauthorized && t.settings.token.value == "":
		return "Set INGESTA_TOKEN (or INGESTA_TOKEN_FILE, or token_file in the configuration file); for development, `ingesta token` makes one."
	case p.Status == http.StatusUnauthorized:
		return fmt.Sprintf("The token comes from %s: get a new one; for development, `ingesta token` makes one.", t.settings.token.source)
	case p.Status == http.StatusForbidden:
		return "Get a token with that scope."
	}
	switch p.Code {
	case "job_not_found":
		return "`ingesta jobs` lists those there are; jobs that are over are forgotten after a while."
	case "unknown_database", "unknown_dataset", "dataset_not_found":
		return "`ingesta datasets` lists what there is."
	case "job_not_over":
		return "`ingesta job ID --watch` waits for its end, `ingesta cancel ID` ends it."
	case "job_conflict":
		return conflicting(p.JobIDs)
	case "dataset_never_exported":
		return "`ingesta run DATABASE --wait` exports it; the statements need the types that an export tells."
	case "dead_letter_not_found":
		return "`ingesta dead list` lists those there are."
	case "acceptance_unconfirmed":
		return "Follow it with `ingesta job " + strings.Join(p.JobIDs, " ") + " --watch`."
	case "rate_limited":
		return "Try again in " + span(p.RetryAfter) + "."
	case "redis_unavailable", "rabbitmq_unavailable", "not_ready":
		return "`ingesta health` says what is down."
	case "not_found":
		return "This gateway has no such route: it may be older than this program."
	case "":
		return "Is " + t.settings.url.value + " the gateway? Set --url or INGESTA_URL to its address."
	default:
		return ""
	}
}

// conflicting names the jobs that stand in the way of an order.
func conflicting(ids []string) string {
	var said []string
	for _, id := range ids {
		said = append(said, "`ingesta job "+id+" --watch` follows it.")
	}
	return strings.Join(append(said, "--on-conflict join answers with it, queue makes another job."), "\n")
}
