package stack

import (
	"context"
	"errors"
	"fmt"

	"github.com/pharmavida/ingesta/deploy/local/internal/ports"
	"github.com/pharmavida/ingesta/deploy/local/internal/process"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
)

// ensure leaves the server running as described and ready: started if it was not, restarted if it was
// started otherwise (another program, port or configuration), or if it was about to end.
func (s *Stack) ensure(ctx context.Context, srv server.Server) error {
	started, err := s.ensureStarted(ctx, srv)
	if err != nil {
		return fmt.Errorf("starting %s: %w", srv.Name, err)
	}
	waiting := s.console.Begin(srv.Name, "awaiting its readiness")
	defer waiting.Drop()
	err = s.await(ctx, srv, started)
	if errors.Is(err, errEnding) {
		if started, err = s.ensureStarted(ctx, srv); err != nil {
			return fmt.Errorf("starting %s again: %w", srv.Name, err)
		}
		err = s.await(ctx, srv, started)
	}
	if err != nil {
		log := s.layout.Log(srv.Name)
		return fmt.Errorf("awaiting %s: %w\n  the end of %s:\n%s", srv.Name, err, log, process.Tail(log))
	}
	if started == nil {
		waiting.Done("runs on port %d", srv.Port)
	} else {
		waiting.Done("started on port %d", srv.Port)
	}
	return nil
}

var errEnding = errors.New("it was running, and ended")

// await waits until the server is ready. One that ran before and ends meanwhile is errEnding.
func (s *Stack) await(ctx context.Context, srv server.Server, started *process.Started) error {
	if started != nil {
		return process.Await(ctx, started, srv.StartTimeout, srv.Ready)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	before := s.state.Process(srv.Name).ID
	return process.Await(ctx, nil, srv.StartTimeout, func(ctx context.Context) error {
		err := srv.Ready(ctx)
		if err != nil && !before.Alive() {
			giveUp(errEnding)
		}
		return err
	})
}

// ensureStarted returns the process if it had to be started, nil if it runs as it should.
func (s *Stack) ensureStarted(ctx context.Context, srv server.Server) (*process.Started, error) {
	launch, err := srv.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	fingerprint, err := launch.Command.Fingerprint(launch.Configuration)
	if err != nil {
		return nil, err
	}
	record := s.state.Process(srv.Name)
	if record.Fingerprint == fingerprint && record.ID.Alive() {
		return nil, nil
	}
	// Also when it is dead: it may have left children behind.
	if err := s.halt(ctx, srv); err != nil {
		return nil, err
	}
	if ports.Answers(ctx, srv.Port) {
		return nil, fmt.Errorf("another program has taken port %d: run make up again, it will choose another", srv.Port)
	}
	mark := process.Mark(s.layout.ID, srv.Name)
	started, err := process.Start(launch.Command, mark, s.layout.Log(srv.Name))
	if err != nil {
		return nil, err
	}
	err = s.state.SetProcess(srv.Name, process.Record{ID: started.ID, Fingerprint: fingerprint, Port: srv.Port})
	if err != nil {
		// What is not on record would be hard to find again.
		_, stopErr := process.Stop(ctx, started.ID, mark, srv.Stop, srv.Grace)
		return nil, errors.Join(err, stopErr)
	}
	return started, nil
}

// halt stops a server with everything it started, forgets it, and tells what it did.
func (s *Stack) halt(ctx context.Context, srv server.Server) error {
	record := s.state.Process(srv.Name)
	wasAlive := record.ID.Alive()
	task := s.console.Begin(srv.Name, "stopping")
	defer task.Drop()
	killed, err := process.Stop(ctx, record.ID, process.Mark(s.layout.ID, srv.Name), srv.Stop, srv.Grace)
	if err != nil {
		return fmt.Errorf("stopping %s: %w", srv.Name, err)
	}
	switch {
	case wasAlive && killed > 0:
		task.Done("stopped; %d processes had to be killed", killed)
	case wasAlive:
		task.Done("stopped")
	case killed > 0:
		task.Done("was dead; killed %d processes it had left", killed)
	}
	return s.state.ForgetProcess(srv.Name)
}
