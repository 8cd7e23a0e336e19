package stack

import (
	"errors"
	"testing"
)

func TestTogetherLetsEveryTaskEnd(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	failed := make(chan struct{})
	ended := false
	err := together(
		func() error { close(failed); return first },
		func() error { <-failed; ended = true; return second },
	)
	if !ended || !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("ended %v, error %v; want both tasks at their end and both errors", ended, err)
	}
}

func TestSequenceStopsAtAFailure(t *testing.T) {
	failure, reached := errors.New("failure"), false
	err := sequence(func() error { return failure }, func() error { reached = true; return nil })()
	if !errors.Is(err, failure) || reached {
		t.Errorf("error %v, went on %v; want the failure and nothing after it", err, reached)
	}
}
