package jobstore

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
)

// Position is a place in the history of transitions: that of one of them. Empty is before all.
type Position string

// Compare returns -1, 0 or 1 when p comes before q in the history, is q, or comes after it.
func (p Position) Compare(q Position) int {
	ms, seq, _ := p.parts()
	otherMS, otherSeq, _ := q.parts()
	return cmp.Or(cmp.Compare(ms, otherMS), cmp.Compare(seq, otherSeq))
}

// After reports whether p comes later in the history than q.
func (p Position) After(q Position) bool { return p.Compare(q) > 0 }

// parts returns what a position is made of, and whether it is one: clients may hand back anything.
func (p Position) parts() (ms, seq uint64, ok bool) {
	first, second, _ := strings.Cut(string(p), "-")
	ms, msErr := strconv.ParseUint(first, 10, 64)
	seq, seqErr := strconv.ParseUint(second, 10, 64)
	return ms, seq, msErr == nil && seqErr == nil
}

// ErrPositionLost is the error when the history does not reach back to the position any more, or never
// had it. What happened since is not known.
var ErrPositionLost = errors.New("the history does not reach back to this position")

// Now returns the position of the latest transition.
func (s *Store) Now(ctx context.Context) (Position, error) {
	r, err := s.run(ctx, "reading the history's end", s.scripts.position)
	if err != nil {
		return "", err
	}
	return Position(r.text(0)), nil
}

// History returns up to limit transitions after the position, in their order, and the position up to
// which it has read: the one given when there was none. ErrPositionLost when some may be missing, for
// the history keeps the latest 10000, about, and nothing beyond a flush.
func (s *Store) History(ctx context.Context, after Position, limit int) ([]Change, Position, error) {
	const doing = "reading the history"
	if _, _, ok := after.parts(); !ok {
		return nil, "", ErrPositionLost
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	// From the position itself on: while its own entry is there, none after it was dropped.
	entries, err := s.client.XRangeN(ctx, s.prefix+"history", string(after), "+", int64(limit)+1).Result()
	if err != nil {
		return nil, "", wrap(ctx, doing, err)
	}
	if len(entries) == 0 || Position(entries[0].ID) != after {
		return nil, "", ErrPositionLost
	}
	changes := make([]Change, 0, len(entries)-1)
	for _, entry := range entries[1:] {
		after = Position(entry.ID)
		text, _ := entry.Values["change"].(string)
		if change, ok := parseChange(text); ok {
			change.Position = after
			changes = append(changes, change)
		}
	}
	return changes, after, nil
}
