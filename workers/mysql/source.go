package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers/engine"
)

// stopTimeout is how long the server may take to stop a query it was asked to kill, before the
// connection is given up.
const stopTimeout = 3 * time.Second

// Source is a database of a MySQL or MariaDB server. It keeps no connection of its own.
type Source struct {
	config Config
	log    *slog.Logger
}

var _ engine.Source = (*Source)(nil)

// New returns a source that connects when it is asked to. Its only error is a configuration that
// makes no sense.
func New(cfg Config, log *slog.Logger) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Source{config: cfg, log: log.With("database", ingest.MySQL)}, nil
}

// connection is one of the driver's, with what is under it.
type connection struct {
	driverConn
	link *link
}

// driverConn is what the driver's connections can do.
type driverConn interface {
	driver.Conn
	driver.Pinger
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnPrepareContext
}

// connect opens a connection. It can be used by one goroutine at a time.
func (s *Source) connect(ctx context.Context) (*connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := new(connection)
	cfg := s.config.Driver()
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.link = newLink(conn)
		return c.link, nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, failure(ctx, fmt.Errorf("connecting: %w", err))
	}
	// The driver's own timeout ends with the dialling; a server may also fall silent after it.
	limit, cancel := context.WithTimeoutCause(ctx, connectTimeout, errors.New("logging in timed out"))
	defer cancel()
	conn, err := connector.Connect(limit)
	if err != nil {
		return nil, failure(ctx, fmt.Errorf("connecting: %w", err))
	}
	c.driverConn = conn.(driverConn)
	return c, nil
}

// Ping connects, logs in and asks for an answer.
func (s *Source) Ping(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Ping(ctx); err != nil {
		return failure(ctx, fmt.Errorf("pinging: %w", err))
	}
	return nil
}

// Version connects, logs in and returns the version as the server spells it: 8.4.2, or
// 10.11.6-MariaDB. Errors are those of Ping.
func (s *Source) Version(ctx context.Context) (string, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	found, err := (&session{source: s, conn: conn}).rows(ctx, "SELECT VERSION()")
	if err != nil {
		return "", failure(ctx, fmt.Errorf("asking for the version: %w", err))
	}
	return found.rows[0][0], nil
}

// Open connects and begins the transaction whose snapshot all datasets of the session show.
func (s *Source) Open(ctx context.Context) (engine.Session, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	session := &session{source: s, conn: conn}
	if err := session.begin(ctx); err != nil {
		_ = conn.Close()
		return nil, failure(ctx, fmt.Errorf("beginning the session: %w", err))
	}
	return session, nil
}

// kill stops the query that the connection of the given id is running.
func (s *Source) kill(ctx context.Context, id string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "KILL QUERY "+id, nil); err != nil {
		return fmt.Errorf("killing the query: %w", err)
	}
	return nil
}
