package process

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// killWait is how long the kernel may take to end a killed process.
const killWait = 5 * time.Second

// Stop ends a server and everything it started: the signal to the leader, and after the grace SIGKILL
// to whatever is left. It returns when none is left, and how many had to be killed. Stopping what does
// not run is no error. A cancelled ctx shortens the grace to nothing.
func Stop(ctx context.Context, leader ID, mark string, signal syscall.Signal, grace time.Duration) (killed int, err error) {
	members, err := Members(leader, mark)
	if err != nil {
		return 0, err
	}
	if len(members) == 0 {
		return 0, nil
	}
	if leader.Alive() {
		if err := send(leader, signal); err != nil {
			return 0, err
		}
		waitGone(ctx, members, grace)
	}

	// Orphans and latecomers have nobody to tell them to end.
	left, err := Members(leader, mark)
	if err != nil {
		return 0, err
	}
	left = alive(append(left, members...))
	for _, id := range left {
		if err := send(id, syscall.SIGKILL); err != nil {
			return 0, err
		}
	}
	waitGone(context.WithoutCancel(ctx), left, killWait)
	if rest := alive(left); len(rest) > 0 {
		return len(left), fmt.Errorf("process %d survives SIGKILL", rest[0].PID)
	}
	return len(left), nil
}

// send signals exactly this process. One that has ended meanwhile is no error.
func send(id ID, signal syscall.Signal) error {
	if !id.Alive() {
		return nil
	}
	if err := syscall.Kill(id.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signalling process %d: %w", id.PID, err)
	}
	return nil
}

// alive keeps those that still run, each once.
func alive(ids []ID) []ID {
	var running []ID
	seen := map[ID]bool{}
	for _, id := range ids {
		if !seen[id] && id.Alive() {
			running = append(running, id)
		}
		seen[id] = true
	}
	return running
}

func waitGone(ctx context.Context, ids []ID, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for len(alive(ids)) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pollEvery / 2):
		}
	}
}
