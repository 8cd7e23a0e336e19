package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

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
	// The port mapper goes last: the broker signs off from it.
	mapper := w.rabbitmq.Epmd()
	servers := slices.DeleteFunc(w.backing(), func(srv server.Server) bool { return srv.Name == mapper.Name })
	return errors.Join(
		s.haltAll(ctx, w.product()),
		s.haltAll(ctx, servers),
		s.halt(ctx, mapper),
	)
}

func (s *Stack) haltAll(ctx context.Context, servers []server.Server) error {
	var tasks []func() error
	for _, srv := range servers {
		tasks = append(tasks, func() error { return s.halt(ctx, srv) })
	}
	return together(tasks...)
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
