package jobstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Limit says how much is allowed: Rate per Per at a steady pace, and after a pause Burst at once.
type Limit struct {
	Rate  int
	Per   time.Duration
	Burst int
}

// Allowance is the answer to one request under a limit.
type Allowance struct {
	Allowed    bool
	Limit      int           // how many are allowed at once after a pause
	Remaining  int           // how many more would be allowed now
	RetryAfter time.Duration // until one is allowed; 0 when this one was
	Reset      time.Duration // until Limit are allowed again
}

// Allow counts a request under the key, which may be any text, and says whether the limit allows it.
// All gateways count together, by the server's clock. A request that is not allowed does not count.
func (s *Store) Allow(ctx context.Context, key string, limit Limit) (Allowance, error) {
	const doing = "counting a request"
	if limit.Rate < 1 || limit.Burst < 1 || limit.Per/time.Duration(max(limit.Rate, 1)) < time.Microsecond {
		return Allowance{}, fmt.Errorf("%s: %+v is no limit that can be kept", doing, limit)
	}
	sum := sha256.Sum256([]byte(key))
	interval := limit.Per / time.Duration(limit.Rate)
	r, err := s.run(ctx, doing, s.scripts.allow, hex.EncodeToString(sum[:]), interval.Microseconds(), limit.Burst)
	if err != nil {
		return Allowance{}, err
	}
	return Allowance{
		Allowed: r.number(0) == 1, Limit: limit.Burst, Remaining: int(r.number(1)),
		RetryAfter: time.Duration(r.number(2)) * time.Microsecond, Reset: time.Duration(r.number(3)) * time.Microsecond,
	}, nil
}
