package broker

import "time"

// Hasten shortens waits that are too long for a test: between two attempts at a topology that
// conflicts, and until an idle consumer is replaced.
func (b *Broker) Hasten(conflict, renew time.Duration) {
	b.timing.conflict, b.timing.renew = conflict, renew
	b.link()
}

// DelayFor is Config.delayFor.
func (c Config) DelayFor(after time.Duration) time.Duration { return c.delayFor(after) }

// InFlight returns how many publishes wait for their confirm.
func (b *Broker) InFlight() int {
	e, _, _ := b.publishing.state()
	if e == nil {
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.inFlight
}

// Attempts returns how often the two links have tried to connect.
func (b *Broker) Attempts() uint64 {
	return b.publishing.attempts.Load() + b.consuming.attempts.Load()
}

// Impatient shortens the wait for the turn to read dead letters.
func (b *Broker) Impatient(patience time.Duration) { b.timing.patience = patience }

// Doubt shortens the wait until dead letters that do not come are counted again.
func (b *Broker) Doubt(after time.Duration) {
	e, _, _ := b.consuming.state()
	e.timing.vanished = after
}
