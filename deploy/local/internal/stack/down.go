package stack

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/pharmavida/ingesta/deploy/local/internal/console"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

// Down stops everything this stack started: the product first, so that it can hand its work back to
// servers that still run, then the servers. Whatever the state file says, processes that bear this
// stack's mark are found and stopped.
func Down(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string) error {
	if !exists(layout.Data) {
		con.Say("stack", "nothing was started from %s", layout.Root)
		return nil
	}
	if err := layout.checkData(); err != nil {
		return err
	}
	s, release, err := open(ctx, layout, con, getenv)
	if err != nil {
		return err
	}
	defer release()
	return s.down(ctx)
}

func (s *Stack) down(ctx context.Context) error {
	w, err := wire(s.layout, s.state.Ports(), s.state)
	if err != nil {
		return err
	}
	brokers, rest := []server.Server{w.rabbitmq.Epmd()}, []server.Server{}
	for _, srv := range w.backing() {
		if srv.Name != brokers[0].Name {
			rest = append(rest, srv)
		}
	}
	// The port mapper goes last: the broker signs off from it.
	var problems []error
	for _, servers := range [][]server.Server{w.product(), rest, brokers} {
		var group errgroup.Group
		failed := make([]error, len(servers))
		for i, srv := range servers {
			group.Go(func() error {
				failed[i] = s.stop(ctx, srv)
				return nil
			})
		}
		group.Wait()
		problems = append(problems, failed...)
	}
	return errors.Join(problems...)
}

func (s *Stack) stop(ctx context.Context, srv server.Server) error {
	if !s.state.Process(srv.Name).ID.Alive() {
		killed, err := s.halt(ctx, srv.Name, srv.Stop, srv)
		if err == nil && killed > 0 {
			s.console.Say(srv.Name, "was dead; killed %d processes it left", killed)
		}
		return err
	}
	task := s.console.Begin(srv.Name, "stopping")
	killed, err := s.halt(ctx, srv.Name, srv.Stop, srv)
	switch {
	case err != nil:
		task.Done("")
	case killed > 0:
		task.Done("stopped; %d processes had to be killed", killed)
	default:
		task.Done("stopped")
	}
	return err
}

// Clean stops the stack and removes its data, .local and bin.
func Clean(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string) error {
	if err := Down(ctx, layout, con, getenv); err != nil {
		return err
	}
	for _, path := range []string{layout.Data, layout.Local, layout.Bin} {
		if !exists(path) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing %s: %w", path, err)
		}
		con.Say("removed", "%s", path)
	}
	return nil
}
