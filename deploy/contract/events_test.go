package contract

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// listener hands on a stream as it comes, and has the events in it checked when its reader is done.
type listener struct {
	io.ReadCloser
	check func(events string)

	mu   sync.Mutex
	read strings.Builder
	once sync.Once
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read.Write(p[:n])
	return n, err
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.check(l.read.String())
	})
	return l.ReadCloser.Close()
}

// checkEvents holds the events of a stream against the contract: the names it tells of, and in those of
// a job the job, as the operation that looks at one answers it. What came of an event that was cut off
// is left out.
func (c *checker) checkEvents(what, stream string) {
	whole := strings.Split(stream, "\n\n")
	for _, event := range whole[:len(whole)-1] {
		var name, data string
		for line := range strings.Lines(event) {
			field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch field {
			case "event":
				name = value
			case "data":
				data += value
			}
		}
		switch name {
		case "job":
			c.checkJob(what, data)
		case "", "ready", "reset", "end":
		default:
			c.fault("%s: the event %q is not in the contract", what, name)
		}
	}
}

func (c *checker) checkJob(what, data string) {
	request, err := http.NewRequest(http.MethodGet, "http://gateway/api/ingesta/jobs/01a22bb8-7bb7-79d2-921c-b4c1ec445a6f", nil)
	if err != nil {
		c.fault("%s: %v", what, err)
		return
	}
	answer := &http.Response{
		StatusCode: http.StatusOK, Request: request, Body: io.NopCloser(bytes.NewBufferString(data)),
		Header: http.Header{"Content-Type": {"application/json"}, "Etag": {`"event"`}, "X-Request-Id": {"event"}},
	}
	if good, faults := c.validator.ValidateHttpResponse(request, answer); !good {
		c.fault("%s: the job in an event is not as the contract says: %s\nthe event: %s", what, told(faults), data)
	}
}
