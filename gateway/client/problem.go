package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is a refusal in the gateway's own words (RFC 9457). Something else may answer in the
// gateway's place, such as a proxy; then Code is empty.
type Problem struct {
	Type      string   `json:"type,omitempty"`
	Title     string   `json:"title,omitempty"`
	Status    int      `json:"status"`
	Code      string   `json:"code"` // stable: what programs branch on
	Detail    string   `json:"detail"`
	RequestID string   `json:"request_id,omitempty"` // what the gateway's log knows the request by
	Known     []string `json:"known,omitempty"`      // what could have been named instead
	Errors    []Field  `json:"errors,omitempty"`
	JobIDs    []string `json:"job_ids,omitempty"` // the jobs that the refusal is about

	RetryAfter time.Duration `json:"-"` // 0: the same request will not fare better later
}

// Field is a part of a request that is at fault. One of the first three says which.
type Field struct {
	Pointer   string `json:"pointer,omitempty"` // JSON pointer into the body
	Parameter string `json:"parameter,omitempty"`
	Header    string `json:"header,omitempty"`
	Detail    string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

// Temporary reports whether the same request may fare better later.
func (p *Problem) Temporary() bool {
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// Unreachable means that no answer came: nobody listens at the address, or the connection was lost.
type Unreachable struct {
	URL   string // of the gateway
	Sent  bool   // the request may have been carried out
	Cause error
}

func (u *Unreachable) Error() string { return fmt.Sprintf("reaching %s: %v", u.URL, u.Cause) }

// Unwrap returns the cause.
func (u *Unreachable) Unwrap() error { return u.Cause }

// shownBody is how much of an answer that is not the gateway's an error shows.
const shownBody = 120

// problemOf reads an answer that is no success.
func problemOf(a answer) *Problem {
	p := &Problem{}
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")) // none is as good as a wrong one
	if media != "application/problem+json" || json.Unmarshal(a.body, p) != nil || p.Code == "" {
		*p = Problem{Detail: fmt.Sprintf("the answer is %d %s, and not in the gateway's words", a.status, http.StatusText(a.status))}
		if location := a.header.Get("Location"); location != "" {
			p.Detail += ": it leads to " + location
		} else if text := strings.Join(strings.Fields(string(a.body)), " "); text != "" && !strings.HasPrefix(text, "<") {
			p.Detail += ": " + cut(text, shownBody)
		}
	}
	p.Status = a.status
	if p.RequestID == "" {
		p.RequestID = a.header.Get("X-Request-Id")
	}
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
