// Package stack is the local stack as a whole: up, down, status, clean, and single servers.
//
// Up is idempotent: it starts what is missing, restarts what has changed and leaves the rest alone.
// Down stops what this stack started and nothing else. A clone has a stack of its own and, beside it, as
// many named ones as somebody wants; all share the programs in bin and nothing else. One command at a time
// changes a stack; no two stacks meet. See README.md for how the parts fit together.
//
// Not goals: supervision (a server that dies stays down until the next up) and durability.
package stack

import (
	"context"
	"fmt"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
	"github.com/pharmavida/ingesta/deploy/local/internal/ports"
	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

// Stack is one stack of one clone.
type Stack struct {
	layout  Layout
	console *console.Console
	getenv  func(string) string
	state   *state.State
}

// open locks the stack and reads its state; release ends that.
func open(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string) (s *Stack, release func(), err error) {
	release, err = layout.lock(ctx, con)
	if err != nil {
		return nil, nil, err
	}
	st, err := state.Open(layout.Data)
	if err != nil {
		release()
		return nil, nil, err
	}
	return &Stack{layout: layout, console: con, getenv: getenv, state: st}, release, nil
}

// choosePorts keeps the ports of what runs and finds free ones for the rest. It leaves those alone that
// another stack of the clone has chosen, whether it runs or not. The variables for ports are for the clone's
// own stack: a named one that took them too would only find them taken.
func (s *Stack) choosePorts(ctx context.Context) (map[string]int, error) {
	release, err := lockFolder(ctx, s.console, s.layout.Root, "choosing ports")
	if err != nil {
		return nil, err
	}
	defer release()
	others, err := s.layout.others()
	if err != nil {
		return nil, err
	}
	spoken := map[int]bool{}
	for _, other := range others {
		st, err := state.Open(other.Data)
		if err != nil {
			return nil, err
		}
		for _, port := range st.Ports() {
			spoken[port] = true
		}
	}
	getenv := s.getenv
	if s.layout.Name != "" {
		getenv = func(string) string { return "" }
	}
	chosen, err := ports.Chooser{
		Getenv:     getenv,
		Remembered: s.state.Ports(),
		Ours:       s.holds,
		Free:       func(port int) bool { return !spoken[port] && ports.Free(port) },
	}.Choose(ports.Parts())
	if err != nil {
		return nil, fmt.Errorf("choosing ports: %w", err)
	}
	return chosen, s.state.SetPorts(chosen)
}

// holds reports whether a running process of ours listens there. The broker node holds three ports.
func (s *Stack) holds(part string, port int) bool {
	if s.state.Ports()[part] != port {
		return false
	}
	name := part
	if part == "management" || part == "erlang" {
		name = "rabbitmq"
	}
	return s.state.Process(name).ID.Alive()
}
