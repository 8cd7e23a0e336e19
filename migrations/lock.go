package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/mysql"
	"github.com/golang-migrate/migrate/v4/source"
)

// session is the connection that holds the locks and takes the steps.
type session struct {
	conn     *sql.Conn
	id       int64         // of the connection, on the server
	standard string        // the name of golang-migrate's lock
	driver   *mysql.Mysql  // golang-migrate's; made with the first change
	files    source.Driver // the migrations; made with it
}

const (
	// lockRound is how long the server is asked to wait at a time, between two lines in the log.
	lockRound = 10 * time.Second

	// holderTimeout bounds asking who holds the lock, also when there is no time left.
	holderTimeout = 5 * time.Second

	// releaseTimeout bounds the last statement of a session. Closing it releases the lock too.
	releaseTimeout = 10 * time.Second
)

// lockName is the name of the lock, which holds for the whole server: at most 64 characters.
func (m *Migrator) lockName() string {
	const prefix, most = "ingesta.migrations.", 64
	if name := prefix + m.at.database; len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(m.at.database))
	return prefix + hex.EncodeToString(sum[:])[:most-len(prefix)]
}

// Exclusive runs f while no other migrator can change the database. When another one is at work,
// it waits for some minutes, or for as long as ctx has time, and then fails with a *BusyError. Up and the others, and Exclusive,
// may be called within f: they use the same lock.
//
// The context that f gets ends, with ErrLockLost as its cause, some seconds after the lock's
// connection did. Exclusive fails with ErrLockLost then, whatever f returns.
func (m *Migrator) Exclusive(ctx context.Context, f func(ctx context.Context) error) (err error) {
	if m.session != nil {
		return f(ctx)
	}
	s, err := m.lock(ctx)
	if err != nil {
		return err
	}
	m.session = s
	watched, stop := m.watch(ctx, s)
	defer func() {
		m.session = nil
		stop()
		if lost := m.release(ctx, s); lost != nil && !errors.Is(err, ErrLockLost) {
			err = errors.Join(lost, err)
		}
	}()
	return f(watched)
}

// lock waits for the lock and returns the session that holds it.
func (m *Migrator) lock(ctx context.Context) (*session, error) {
	conn, err := m.db.Conn(ctx)
	if err != nil {
		return nil, m.explain(ctx, "connecting", err)
	}
	s := &session{conn: conn}
	if err := m.acquire(ctx, s); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// acquire readies the session's connection and waits for the lock, and then for that of
// golang-migrate's command, which knows nothing of ours.
func (m *Migrator) acquire(ctx context.Context, s *session) error {
	// While f works over other connections, this one is idle: let the server not grow tired of it.
	settings := fmt.Sprintf("SET SESSION wait_timeout = 28800, SESSION lock_wait_timeout = %d", int64(m.tableTimeout.Seconds()))
	if _, err := s.conn.ExecContext(ctx, settings); err != nil {
		return m.explain(ctx, "preparing the connection", err)
	}
	if err := s.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&s.id); err != nil {
		return m.explain(ctx, "preparing the connection", err)
	}
	var err error
	if s.standard, err = database.GenerateAdvisoryLockId(m.at.database + ":" + versionTable); err != nil {
		return fmt.Errorf("naming the lock of golang-migrate: %w", err)
	}
	started := time.Now()
	for _, name := range []string{m.lockName(), s.standard} {
		if err := m.wait(ctx, s, name, started); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for one lock, until lockTimeout after started at most.
func (m *Migrator) wait(ctx context.Context, s *session, name string, started time.Time) error {
	for round := time.Duration(0); ; {
		var locked bool
		err := s.conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", name, int64(math.Ceil(round.Seconds()))).Scan(&locked)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			if holder := m.holder(context.WithoutCancel(ctx), name); holder != 0 && holder != s.id {
				return &BusyError{
					Database: m.at.database, Connection: holder, Waited: time.Since(started).Round(time.Second),
					ended: []error{context.Cause(ctx), ctx.Err()},
				}
			}
		}
		if err != nil {
			return m.explain(ctx, "waiting for the lock of the migrations", err)
		}
		if locked {
			return nil
		}
		waited := time.Since(started).Round(time.Second)
		if round = min(lockRound, m.lockTimeout-waited); round <= 0 {
			return &BusyError{Database: m.at.database, Connection: m.holder(ctx, name), Waited: waited}
		}
		m.log.Info("another migrator is at work: waiting until it has ended", "connection", m.holder(ctx, name), "waited", waited.String())
	}
}

// holder returns the connection that holds a lock, 0 when there is none or it cannot be asked.
func (m *Migrator) holder(ctx context.Context, name string) int64 {
	ctx, cancel := context.WithTimeoutCause(ctx, holderTimeout, errors.New("asking who holds the lock timed out"))
	defer cancel()
	var id sql.NullInt64
	if err := m.db.QueryRowContext(ctx, "SELECT IS_USED_LOCK(?)", name).Scan(&id); err != nil {
		return 0
	}
	return id.Int64
}

// watch returns a context that ends when the server says that the session does not hold the lock
// any more. A server that does not answer says nothing. stop ends the watch.
func (m *Migrator) watch(ctx context.Context, s *session) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(m.watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-tick.C:
			}
			// Over another connection: this one may be within a step, and is no use when it is dead.
			var id sql.NullInt64
			limit, done := context.WithTimeoutCause(watched, m.watchEvery, errors.New("asking who holds the lock timed out"))
			err := m.db.QueryRowContext(limit, "SELECT IS_USED_LOCK(?)", m.lockName()).Scan(&id)
			done()
			if err == nil && id.Int64 != s.id {
				cancel(ErrLockLost)
				return
			}
		}
	}()
	return watched, func() {
		cancel(nil)
		<-ended
	}
}

// release gives the lock back and ends the session. Its error is ErrLockLost.
func (m *Migrator) release(ctx context.Context, s *session) error {
	defer s.end()
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), releaseTimeout, errors.New("releasing the lock timed out"))
	defer cancel()
	var released, standard sql.NullBool
	// golang-migrate's too: the end of the connection frees it only a moment later.
	if err := s.conn.QueryRowContext(ctx, "SELECT RELEASE_LOCK(?), RELEASE_LOCK(?)", s.standard, m.lockName()).Scan(&standard, &released); err != nil {
		return fmt.Errorf("%w (%w)", ErrLockLost, err)
	}
	if !released.Bool {
		return ErrLockLost
	}
	return nil
}

// end closes the connection for good instead of giving it back, and with it all its locks.
func (s *session) end() {
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close()
}
