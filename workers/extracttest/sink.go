package extracttest

import "bytes"

// collector is a sink that keeps everything.
type collector struct {
	bytes.Buffer
	rows  int64
	calls int // that counted rows
	early int // signs of life before the first Write
}

func (c *collector) AddRows(n int64) {
	if c.Len() == 0 {
		c.early++
	}
	if n != 0 {
		c.rows += n
		c.calls++
	}
}

// failing is a sink that takes nothing.
type failing struct{ err error }

func (s failing) Write([]byte) (int, error) { return 0, s.err }
func (s failing) AddRows(int64)             {}

// stalled is a sink whose storage takes nothing until something happens, and which then swallows
// what it is given: whatever was to end the extraction has to end it without the sink's help.
type stalled struct {
	until   <-chan struct{}
	entered chan<- struct{} // closed at the first Write
	done    bool
}

func (s *stalled) Write(p []byte) (int, error) {
	if !s.done {
		s.done = true
		close(s.entered)
	}
	<-s.until
	return len(p), nil
}

func (s *stalled) AddRows(int64) {}
