// Package console tells a person what is being done now and for how long.
//
// Every line begins with the seconds since the start, so that the log of an unattended run can be
// read as well as a terminal. It never overwrites a line. Not a goal: machine-readable output.
package console

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// remindEvery is how long the console may stay silent while something is under way.
const remindEvery = 15 * time.Second

// Console prints progress. Its methods may be called from several goroutines.
type Console struct {
	out   io.Writer
	start time.Time
	stop  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	running []*Task
}

// New starts a console; Close ends its reminders.
func New(out io.Writer) *Console {
	c := &Console{out: out, start: time.Now(), stop: make(chan struct{})}
	c.ended.Go(c.remind)
	return c
}

// Close stops the reminders and waits for the last one.
func (c *Console) Close() {
	close(c.stop)
	c.ended.Wait()
}

// Say prints one line about a subject.
func (c *Console) Say(subject, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line(subject, fmt.Sprintf(format, args...))
}

func (c *Console) line(subject, text string) {
	fmt.Fprintf(c.out, "%6.1fs  %-17s %s\n", time.Since(c.start).Seconds(), subject, text)
}

// Task is something under way, named in the reminders until Done.
type Task struct {
	console *Console
	subject string
	doing   string
	begun   time.Time
}

// Begin begins a task. It says nothing yet: what is over in a moment needs one line, not two.
func (c *Console) Begin(subject, doing string) *Task {
	t := &Task{console: c, subject: subject, doing: doing, begun: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = append(c.running, t)
	return t
}

// Announce begins a task and says so: for what takes long.
func (c *Console) Announce(subject, doing string) *Task {
	c.Say(subject, "%s", doing)
	return c.Begin(subject, doing)
}

// Done ends the task with a line.
func (t *Task) Done(format string, args ...any) {
	t.Drop()
	t.console.Say(t.subject, "%s (%.1f s)", fmt.Sprintf(format, args...), time.Since(t.begun).Seconds())
}

// Drop ends the task without a line; after Done it does nothing.
func (t *Task) Drop() {
	c := t.console
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = slices.DeleteFunc(c.running, func(r *Task) bool { return r == t })
}

func (c *Console) remind() {
	ticker := time.NewTicker(remindEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-ticker.C:
			c.mu.Lock()
			var still []string
			for _, t := range c.running {
				still = append(still, fmt.Sprintf("%s: %s (%.0f s)", t.subject, t.doing, time.Since(t.begun).Seconds()))
			}
			if len(still) > 0 {
				c.line("still", strings.Join(still, "; "))
			}
			c.mu.Unlock()
		}
	}
}
