package client

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxRefusal is how much is read of an answer that is no object.
const maxRefusal = 64 << 10

// Object is a dataset's object, being read.
type Object struct {
	io.ReadCloser
	Size int64 // -1: nobody says
}

// Download opens the object that a job has made of a dataset. It follows the gateway's link to where
// the object lies, without the token. Reading fails once nothing comes for as long as an exchange may
// take. The caller closes the object.
func (c *Client) Download(ctx context.Context, id, dataset string) (*Object, error) {
	r := get("api", "ingesta", "jobs", id, "datasets", dataset, "download")
	a, err := c.exchange(ctx, r)
	if err != nil {
		return nil, err
	}
	location := a.header.Get("Location")
	if a.status != http.StatusTemporaryRedirect || location == "" {
		return nil, problemOf(a)
	}
	within, cancel := context.WithCancelCause(ctx)
	watchdog := time.AfterFunc(c.cfg.Timeout, func() { cancel(errNoAnswer) })
	give := func() {
		watchdog.Stop()
		cancel(nil)
	}
	request, err := http.NewRequestWithContext(within, http.MethodGet, location, nil)
	if err != nil {
		give()
		return nil, errors.New("the gateway's link to the object is not an address")
	}
	response, err := c.object.Do(request)
	if err != nil {
		err = c.away(ctx, within, request, err)
		give()
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		err := refusedByStorage(response)
		give()
		return nil, err
	}
	body := &watched{body: response.Body, alive: func() { watchdog.Reset(c.cfg.Timeout) }, give: give}
	body.explain = func(err error) error { return c.away(ctx, within, request, err) }
	return &Object{ReadCloser: body, Size: response.ContentLength}, nil
}

// away says why the storage does not answer. Only its host is named: the rest of a link lets anyone in.
func (c *Client) away(ctx, within context.Context, request *http.Request, err error) error {
	err = c.lost(ctx, within, err)
	if lost, ok := errors.AsType[*Unreachable](err); ok {
		lost.URL = request.URL.Scheme + "://" + request.URL.Host
	}
	return err
}

// refusedByStorage reads an answer of S3 that is no object.
func refusedByStorage(response *http.Response) error {
	defer response.Body.Close()
	var said struct {
		Code    string
		Message string
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	if err != nil || xml.Unmarshal(body, &said) != nil || said.Code == "" {
		return fmt.Errorf("the storage refuses the object: %s", response.Status)
	}
	return fmt.Errorf("the storage refuses the object: %s: %s: %s", response.Status, said.Code, said.Message)
}

// watched is a body whose reading fails after a silence.
type watched struct {
	body    io.ReadCloser
	alive   func()
	give    func()
	explain func(error) error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	if n > 0 {
		w.alive()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = w.explain(err)
	}
	return n, err
}

func (w *watched) Close() error {
	err := w.body.Close()
	w.give()
	return err
}
