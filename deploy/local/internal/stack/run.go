package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

// ensure leaves the server running as described: started if it was not, restarted if it was started
// otherwise (another program, port or configuration), and ready.
func (s *Stack) ensure(ctx context.Context, srv server.Server) error {
	if err := s.ensureRunning(ctx, srv); err != nil {
		return fmt.Errorf("starting %s: %w", srv.Name, err)
	}
	return nil
}

func (s *Stack) ensureRunning(ctx context.Context, srv server.Server) error {
	launch, err := srv.Prepare(ctx)
	if err != nil {
		return err
	}
	fingerprint, err := launch.Command.Fingerprint(launch.Configuration)
	if err != nil {
		return err
	}

	var started *process.Started
	record := s.state.Process(srv.Name)
	running := record.ID.Alive()
	if !running || record.Fingerprint != fingerprint {
		task := s.console.Begin(srv.Name, "%s on port %d", map[bool]string{true: "restarting", false: "starting"}[running], srv.Port)
		// Also when the leader is dead: it may have left children behind.
		if _, err := s.halt(ctx, srv.Name, srv.Stop, srv); err != nil {
			task.Done("")
			return err
		}
		started, err = process.Start(launch.Command, process.Mark(s.layout.ID, srv.Name), s.layout.Log(srv.Name))
		if err != nil {
			task.Done("")
			return err
		}
		err = s.state.SetProcess(srv.Name, process.Record{ID: started.ID, Fingerprint: fingerprint, Port: srv.Port})
		if err != nil {
			return errors.Join(err, syscall.Kill(started.ID.PID, syscall.SIGKILL))
		}
		defer func() {
			if err == nil {
				task.Done("ready")
			} else {
				task.Done("")
			}
		}()
	}
	if err = process.Await(ctx, started, srv.StartTimeout, srv.Ready); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w\n  the end of %s:\n%s", err, s.layout.Log(srv.Name), process.Tail(s.layout.Log(srv.Name)))
	}
	return nil
}

// halt stops a server with everything it started and forgets it.
func (s *Stack) halt(ctx context.Context, name string, signal syscall.Signal, srv server.Server) (killed int, err error) {
	record := s.state.Process(name)
	killed, err = process.Stop(ctx, record.ID, process.Mark(s.layout.ID, name), signal, srv.Grace)
	if err != nil {
		return killed, fmt.Errorf("stopping %s: %w", name, err)
	}
	return killed, s.state.ForgetProcess(name)
}

// exists reports whether there is something at the path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
