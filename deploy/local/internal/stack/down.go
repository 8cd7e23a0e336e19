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

// DownAll stops all stacks of the clone.
func DownAll(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string) error {
	return each(layout, con, func(l Layout) error { return Down(ctx, l, con, getenv) })
}

// Clean stops the stack and removes its data and its files in .local. The programs in bin, and .local itself,
// go with the clone's own stack, unless another stack still has data.
func Clean(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string) error {
	if err := Down(ctx, layout, con, getenv); err != nil {
		return err
	}
	others, err := layout.others()
	if err != nil {
		return err
	}
	paths := []string{layout.Data, layout.Local}
	switch {
	case layout.Name != "":
	case len(others) > 0:
		paths = []string{layout.Data, layout.Env(), layout.Logs()}
	default:
		paths = append(paths, layout.Bin)
	}
	for _, path := range paths {
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

// CleanAll cleans all stacks of the clone, the clone's own last.
func CleanAll(ctx context.Context, layout Layout, con *console.Console, getenv func(string) string) error {
	err := each(layout, con, func(l Layout) error {
		if l.Name == "" {
			return nil
		}
		return Clean(ctx, l, con, getenv)
	})
	if err != nil {
		return err
	}
	own, err := layout.named("")
	if err != nil {
		return err
	}
	return Clean(ctx, own, con, getenv)
}

// each does something with every stack of the clone that has data, and goes on after a failure.
func each(layout Layout, con *console.Console, do func(Layout) error) error {
	all, err := layout.All()
	if err != nil {
		return err
	}
	var problems []error
	for _, l := range all {
		if l.Name != "" {
			con.Say("stack", "%s", l.Name)
		}
		if err := do(l); err != nil {
			problems = append(problems, fmt.Errorf("stack %q: %w", l.Name, err))
		}
	}
	return errors.Join(problems...)
}
