package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// errSeen ends a stream before it begins: its client has seen the end of the job.
var errSeen = errors.New("the client has seen the end")

// jobEvents answers GET /api/ingesta/jobs/{id}/events: the job as it is, and again after each change,
// until its end.
func (a *API) jobEvents(c echo.Context) error {
	id, err := JobID(c)
	if err != nil {
		return err
	}
	ctx, last := c.Request().Context(), c.Request().Header.Get(headerLastEventID)
	if c.Request().Method == http.MethodHead {
		if _, err := a.jobs.Get(ctx, id); err != nil {
			return err
		}
		return headOfEvents(c)
	}
	var stream *EventStream
	err = a.jobs.Watch(ctx, id, func(job ingest.Job) error {
		body, tag, err := represent(job)
		if err != nil {
			return err
		}
		if stream == nil {
			c.Set(jobKey, jobAttrs{job.ID, string(job.Database)})
			if tag == last && job.Status.Terminal() {
				return errSeen
			}
			if stream, err = OpenEventStream(c); err != nil {
				return err
			}
		}
		if tag != last {
			if err := stream.Send(Event{Name: "job", ID: tag, Data: body}); err != nil {
				return err
			}
			last = tag
		}
		if job.Status.Terminal() {
			return stream.Send(Event{Name: "end", Data: []byte(job.ID)})
		}
		return nil
	})
	if errors.Is(err, errSeen) {
		return c.NoContent(http.StatusNoContent) // by which a browser knows not to come back
	}
	return a.endStream(c, stream, err)
}

// events answers GET /api/ingesta/events: each change of any job.
func (a *API) events(c echo.Context) error {
	asked, err := parametersOf(c)
	if err != nil {
		return err
	}
	only := a.databaseOf(asked)
	if err := asked.check(); err != nil {
		return err
	}
	if c.Request().Method == http.MethodHead {
		return headOfEvents(c)
	}
	ctx, after := c.Request().Context(), c.Request().Header.Get(headerLastEventID)
	var stream *EventStream
	open := func() (err error) {
		if stream == nil {
			stream, err = OpenEventStream(c)
		}
		return err
	}
	ready := func(position string) error {
		if err := open(); err != nil || after != "" {
			return err
		}
		return stream.Send(Event{Name: "ready", ID: position, Data: []byte("{}")})
	}
	show := func(u jobs.Update) error {
		if only != "" && u.Job.Database != only {
			if u.Position != "" {
				stream.Pass(u.Position)
			}
			return nil
		}
		body, err := json.Marshal(u.Job)
		if err != nil {
			return fmt.Errorf("writing a job: %w", err)
		}
		return stream.Send(Event{Name: "job", ID: u.Position, Data: body})
	}
	for {
		err := a.jobs.WatchAll(ctx, after, ready, show)
		if !errors.Is(err, jobs.ErrPositionLost) {
			return a.endStream(c, stream, err)
		}
		// What happened in between is not known any more. The client lists the jobs anew and goes on.
		after = ""
		if err = open(); err == nil {
			err = stream.Send(Event{Name: "reset", Data: []byte("{}")})
		}
		if err != nil {
			return a.endStream(c, stream, err)
		}
	}
}

// endStream closes the stream and returns what of err the client or the log is to know. That the client
// has left, or the gateway is about to stop, is how streams end. Of one that had not begun, the client
// is told to come back by a stream without events.
func (a *API) endStream(c echo.Context, stream *EventStream, err error) error {
	if stream == nil && a.draining.Err() != nil {
		stream, err = OpenEventStream(c)
	}
	if stream == nil {
		return err
	}
	stream.Close()
	if c.Request().Context().Err() != nil {
		err = nil
	}
	return err
}

// headOfEvents answers HEAD.
func headOfEvents(c echo.Context) error {
	announceEvents(c.Response().Header())
	return c.NoContent(http.StatusOK)
}
