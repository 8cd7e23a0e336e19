package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
	"github.com/pharmavida/ingesta/deploy/local/internal/process"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

// Stop stops the named servers in good order. One that does not run is no error.
func Stop(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string, names []string) error {
	return control(ctx, layout, con, getenv, names, func(s *Stack, _ wiring, srv server.Server) error {
		if !s.state.Process(srv.Name).ID.Alive() {
			con.Say(srv.Name, "does not run")
		}
		return s.halt(ctx, srv)
	})
}

// Start brings the named servers back as Up would: with what they held, on their ports.
func Start(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string, names []string) error {
	return control(ctx, layout, con, getenv, names, func(s *Stack, w wiring, srv server.Server) error {
		if srv.Name == w.rabbitmq.Server().Name {
			if err := s.ensure(ctx, w.rabbitmq.Epmd()); err != nil {
				return err
			}
		}
		return s.ensure(ctx, srv)
	})
}

// Kill ends the named servers with SIGKILL, with everything they started, as a crash would. One that does not
// run is no error. Its record stays, so that the server counts as dead and not as stopped.
func Kill(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string, names []string) error {
	return control(ctx, layout, con, getenv, names, func(s *Stack, _ wiring, srv server.Server) error {
		record := s.state.Process(srv.Name)
		if !record.ID.Alive() {
			con.Say(srv.Name, "does not run")
		}
		task := con.Begin(srv.Name, "killing")
		defer task.Drop()
		if _, err := process.Stop(ctx, record.ID, process.Mark(s.layout.ID, srv.Name), syscall.SIGKILL, 0); err != nil {
			return fmt.Errorf("killing %s: %w", srv.Name, err)
		}
		if record.ID.PID != 0 {
			task.Done("killed")
		}
		return nil
	})
}

// control does something with each of the named servers of a stack that was up before, side by side.
func control(
	ctx context.Context, layout Layout, con *console.Console, getenv func(string) string, names []string,
	do func(*Stack, wiring, server.Server) error,
) error {
	neverUp := fmt.Errorf("nothing was started from %s: bring the stack up first", layout.Root)
	if !exists(layout.Data) {
		return neverUp
	}
	if err := layout.checkData(); err != nil {
		return err
	}
	s, release, err := open(ctx, layout, con, getenv)
	if err != nil {
		return err
	}
	defer release()
	if len(s.state.Ports()) == 0 {
		return neverUp
	}
	w, err := wire(layout, s.state.Ports(), s.state)
	if err != nil {
		return err
	}
	chosen, err := w.pick(names)
	if err != nil {
		return err
	}
	var tasks []func() error
	for _, srv := range chosen {
		tasks = append(tasks, func() error { return do(s, w, srv) })
	}
	return together(tasks...)
}

// pick returns the servers of these names, each once. The port mapper is part of the broker.
func (w wiring) pick(names []string) ([]server.Server, error) {
	var all []server.Server
	var known []string
	for _, srv := range append(w.backing(), w.product()...) {
		if srv.Name != w.rabbitmq.Epmd().Name {
			all, known = append(all, srv), append(known, srv.Name)
		}
	}
	var picked []server.Server
	for i, name := range names {
		at := slices.Index(known, name)
		if at < 0 {
			return nil, fmt.Errorf("there is no server %q: use %s", name, strings.Join(known, ", "))
		}
		if !slices.Contains(names[:i], name) {
			picked = append(picked, all[at])
		}
	}
	return picked, nil
}
