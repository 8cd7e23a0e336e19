package migrations

import (
	"context"
	"database/sql"
	"time"
)

// historyTable is the log of what was done to the database. Rows are only added to it.
const historyTable = "schema_history"

// Action is what was done.
type Action string

// The actions.
const (
	ActionUp    Action = "up"
	ActionDown  Action = "down"
	ActionAdopt Action = "adopt" // what Alembic had made was taken over as migration 1
	ActionForce Action = "force" // the version was set by hand
)

// Step is one thing that was done, as it stands in the history.
type Step struct {
	Action   Action
	Version  uint          // of the migration; for ActionForce the version that was set, 0 for none
	Name     string        // of the migration
	At       time.Time     // of its end; UTC
	Duration time.Duration // in whole milliseconds
}

// after is the version of the database after the step.
func (s Step) after() uint {
	if s.Action == ActionDown {
		return s.Version - 1
	}
	return s.Version
}

// makeHistory makes the history's table where it is missing.
func makeHistory(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+historyTable+` (
		id BIGINT NOT NULL AUTO_INCREMENT,
		version BIGINT NOT NULL,
		name VARCHAR(255) NOT NULL,
		action VARCHAR(16) NOT NULL,
		at DATETIME(3) NOT NULL COMMENT 'UTC',
		duration_ms BIGINT NOT NULL,
		PRIMARY KEY (id)
	) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`)
	return err
}

// addHistory adds a step.
func addHistory(ctx context.Context, conn *sql.Conn, step Step) error {
	_, err := conn.ExecContext(ctx, "INSERT INTO "+historyTable+" (version, name, action, at, duration_ms) VALUES (?, ?, ?, ?, ?)",
		step.Version, step.Name, string(step.Action), step.At, step.Duration.Milliseconds())
	return err
}

// readHistory returns all steps, oldest first.
func readHistory(ctx context.Context, db *sql.DB) ([]Step, error) {
	rows, err := db.QueryContext(ctx, "SELECT action, version, name, at, duration_ms FROM "+historyTable+" ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var steps []Step
	for rows.Next() {
		var step Step
		var milliseconds int64
		if err := rows.Scan(&step.Action, &step.Version, &step.Name, &step.At, &milliseconds); err != nil {
			return nil, err
		}
		step.Duration = time.Duration(milliseconds) * time.Millisecond
		steps = append(steps, step)
	}
	return steps, rows.Err()
}
