package stack

import (
	"errors"
	"sync"
)

// together runs the tasks side by side, lets each come to its own end, and joins their errors. One
// failure ends no other task: half a minute of compiling is not thrown away because a port is taken,
// and all problems show at once.
func together(tasks ...func() error) error {
	problems := make([]error, len(tasks))
	var running sync.WaitGroup
	for i, task := range tasks {
		running.Go(func() { problems[i] = task() })
	}
	running.Wait()
	return errors.Join(problems...)
}

// sequence is one task after the other, up to the first that fails.
func sequence(tasks ...func() error) func() error {
	return func() error {
		for _, task := range tasks {
			if err := task(); err != nil {
				return err
			}
		}
		return nil
	}
}
