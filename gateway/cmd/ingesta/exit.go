package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
)

// Exit codes beside those of every program.
const (
	exitJobFailed   = 3
	exitJobPartial  = 4
	exitRefused     = 5
	exitDenied      = 6
	exitUnavailable = 7
	exitTimeout     = 124 // as of timeout(1)
	exitInterrupted = 130 // as shells say of a program that SIGINT ended
)

// exitCodes explains them in the help.
const exitCodes = `Exit codes:
  0    done; with --wait or --watch: the job succeeded
  1    failed in a way not named below
  2    the command line, the configuration or the request itself is wrong
  3    the job that was waited for ended as error or cancelled
  4    the job that was waited for ended as partial
  5    there is no such thing, or its state does not allow it
  6    not authorised: the token is missing, not good, or lacks a scope
  7    the gateway, or something that it needs, is not available
  124  --timeout ran out; a job that was waited for goes on
  130  interrupted; a job that was waited for goes on`

// usageError is a fault of the command line or of the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// ended is that everything was done and told, and still the exit code is not 0.
type ended struct{ code int }

func (ended) Error() string { return "told already" }

// missing is that there is no such thing as the command line names.
type missing struct{ error }

func (e missing) Unwrap() error { return e.error }

// unavailable is that a server other than the gateway is away.
type unavailable struct{ error }

func (e unavailable) Unwrap() error { return e.error }

// errOutOfTime is why a command's context ends before its work does.
var errOutOfTime = errors.New("the time given by --timeout has run out")

// exitCode returns the code for an error. The context is the program's.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return program.ExitOK
	}
	if told, ok := errors.AsType[ended](err); ok {
		return told.code
	}
	if refused, ok := errors.AsType[*client.Problem](err); ok {
		return exitOfProblem(refused)
	}
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, errOutOfTime):
		return exitTimeout
	case errors.As(err, new(usageError)):
		return program.ExitUsage
	case errors.As(err, new(*client.Unreachable)), errors.As(err, new(unavailable)):
		return exitUnavailable
	case errors.As(err, new(missing)), errors.Is(err, auth.ErrNotOurs):
		return exitRefused
	default:
		return program.ExitError
	}
}

func exitOfProblem(p *client.Problem) int {
	if p.Temporary() {
		return exitUnavailable
	}
	switch p.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return program.ExitUsage
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitDenied
	case http.StatusNotFound, http.StatusConflict:
		return exitRefused
	default:
		return program.ExitError
	}
}

// exitOfJobs returns nil when every job succeeded, else the exit code that the worst of them calls for.
func exitOfJobs(jobs []ingest.Job) error {
	code := program.ExitOK
	for _, job := range jobs {
		switch job.Status {
		case ingest.Failed, ingest.Cancelled:
			return ended{exitJobFailed}
		case ingest.Partial:
			code = exitJobPartial
		}
	}
	if code != program.ExitOK {
		return ended{code}
	}
	return nil
}
