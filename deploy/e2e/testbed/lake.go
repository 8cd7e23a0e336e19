package testbed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Op is an operation of S3.
type Op string

// The operations that workers use.
const (
	CreateUpload   Op = "CreateMultipartUpload"
	UploadPart     Op = "UploadPart"
	CompleteUpload Op = "CompleteMultipartUpload"
	AbortUpload    Op = "AbortMultipartUpload"
	ListUploads    Op = "ListMultipartUploads"
	PutObject      Op = "PutObject"
	GetObject      Op = "GetObject"
	HeadObject     Op = "HeadObject"
	DeleteObject   Op = "DeleteObject"
	OtherOp        Op = "other"
)

// Call is one request to S3.
type Call struct {
	Op      Op
	Key     string
	Number  int             // of this operation, from 1
	Status  int             // of the answer; 0 before there is one
	Context context.Context // ends when the client has gone; before a call with a body, that is not known
}

// Fate is what becomes of a call.
type Fate int

// The fates. Before a call, SlowDown answers it in the server's stead; after it, only Pass and Lose
// make sense.
const (
	Pass     Fate = iota
	SlowDown      // 503 SlowDown
	Lose          // the connection breaks
)

// Lake is a way to S3 on which single requests can be refused, held and lost.
type Lake struct {
	server *httptest.Server

	mu     sync.Mutex
	counts map[Op]int
	before map[*func(Call) Fate]bool
	after  map[*func(Call) Fate]bool
}

type callKey struct{}

// NewLake starts a way to S3. It is closed when the test ends.
func (s *Servers) NewLake(t testing.TB) *Lake {
	t.Helper()
	target, err := url.Parse(s.Env["AWS_ENDPOINT_URL"])
	if err != nil {
		t.Fatal(err)
	}
	l := &Lake{counts: map[Op]int{}, before: map[*func(Call) Fate]bool{}, after: map[*func(Call) Fate]bool{}}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is part of the signature
		},
		ModifyResponse: func(r *http.Response) error {
			call, ok := r.Request.Context().Value(callKey{}).(Call)
			call.Status = r.StatusCode
			if ok && l.decide(l.after, call) == Lose {
				return errors.New("the answer is lost")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := l.register(r)
		switch l.decide(l.before, call) {
		case SlowDown:
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
		case Lose:
			panic(http.ErrAbortHandler)
		default:
			proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, call)))
		}
	}))
	t.Cleanup(func() {
		l.server.CloseClientConnections() // ends what is held
		l.server.Close()
		transport.CloseIdleConnections()
	})
	return l
}

// Env returns the variables that lead a process over this way.
func (l *Lake) Env() []string { return []string{"AWS_ENDPOINT_URL=" + l.server.URL} }

// Before has rule decide on each call before the server sees it, until remove is called. The rule
// may wait; the calls of other rules go on meanwhile. With several rules, any fate but Pass wins.
func (l *Lake) Before(rule func(Call) Fate) (remove func()) { return l.add(l.before, rule) }

// After has rule decide on each call that the server has carried out and answered, before the
// client hears of it.
func (l *Lake) After(rule func(Call) Fate) (remove func()) { return l.add(l.after, rule) }

// Count returns how many calls of the operation there have been.
func (l *Lake) Count(op Op) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[op]
}

// BreakConnections breaks every connection, and with it the calls under way.
func (l *Lake) BreakConnections() { l.server.CloseClientConnections() }

func (l *Lake) add(rules map[*func(Call) Fate]bool, rule func(Call) Fate) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rules[&rule] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(rules, &rule)
	}
}

// decide asks the rules as they stand.
func (l *Lake) decide(rules map[*func(Call) Fate]bool, call Call) Fate {
	l.mu.Lock()
	var standing []func(Call) Fate
	for rule := range rules {
		standing = append(standing, *rule)
	}
	l.mu.Unlock()
	for _, rule := range standing {
		if fate := rule(call); fate != Pass {
			return fate
		}
	}
	return Pass
}

// register recognises and counts a request.
func (l *Lake) register(r *http.Request) Call {
	query := r.URL.Query()
	op := OtherOp
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && query.Has("uploads"):
		op = CreateUpload
	case r.Method == http.MethodPut && query.Has("partNumber"):
		op = UploadPart
	case r.Method == http.MethodPost && query.Has("uploadId"):
		op = CompleteUpload
	case r.Method == http.MethodDelete && query.Has("uploadId"):
		op = AbortUpload
	case r.Method == http.MethodGet && query.Has("uploads"):
		op = ListUploads
	case key == "": // of the bucket
	case r.Method == http.MethodPut:
		op = PutObject
	case r.Method == http.MethodGet:
		op = GetObject
	case r.Method == http.MethodHead:
		op = HeadObject
	case r.Method == http.MethodDelete:
		op = DeleteObject
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[op]++
	return Call{Op: op, Key: key, Number: l.counts[op], Context: r.Context()}
}

// Gate holds calls until it is opened.
type Gate struct {
	reached chan struct{}
	opened  chan struct{}
	arrive  func()
	Open    func() // lets everyone pass, now and later
}

// NewGate returns a closed gate, which opens at the latest when the test ends.
func NewGate(t testing.TB) *Gate {
	g := &Gate{reached: make(chan struct{}), opened: make(chan struct{})}
	g.arrive = sync.OnceFunc(func() { close(g.reached) })
	g.Open = sync.OnceFunc(func() { close(g.opened) })
	t.Cleanup(g.Open)
	return g
}

// Hold waits until the gate is opened or the caller has gone.
func (g *Gate) Hold(ctx context.Context) {
	g.arrive()
	select {
	case <-g.opened:
	case <-ctx.Done():
	}
}

// Reached is closed when the first call waits at the gate.
func (g *Gate) Reached() <-chan struct{} { return g.reached }

// HoldAt closes a gate before the calls of the operation from number on; the first to arrive closes
// Reached.
func (l *Lake) HoldAt(t testing.TB, op Op, number int) *Gate {
	return holdAt(t, l.Before, func(c Call) bool { return c.Op == op && c.Number >= number })
}

// HoldAfter closes a gate after the calls of the operation from number on: the server has carried
// them out, and the worker has yet to hear of it.
func (l *Lake) HoldAfter(t testing.TB, op Op, number int) *Gate {
	return holdAt(t, l.After, func(c Call) bool { return c.Op == op && c.Number >= number })
}

// HoldDataset is HoldAt for the calls on the objects of one dataset.
func (l *Lake) HoldDataset(t testing.TB, op Op, dataset string) *Gate {
	return holdAt(t, l.Before, func(c Call) bool { return c.Op == op && c.Of(dataset) })
}

// HoldDatasetAfter is HoldAfter for the calls on the objects of one dataset.
func (l *Lake) HoldDatasetAfter(t testing.TB, op Op, dataset string) *Gate {
	return holdAt(t, l.After, func(c Call) bool { return c.Op == op && c.Of(dataset) })
}

// Of reports whether the call is about an object of the dataset.
func (c Call) Of(dataset string) bool { return strings.Contains(c.Key, "/"+dataset+"_") }

func holdAt(t testing.TB, when func(func(Call) Fate) func(), held func(Call) bool) *Gate {
	g := NewGate(t)
	when(func(c Call) Fate {
		if held(c) {
			g.Hold(c.Context)
		}
		return Pass
	})
	return g
}
