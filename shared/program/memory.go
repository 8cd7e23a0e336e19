package program

import (
	"log/slog"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Of the memory that the cgroup allows, heapShare is for what Go's runtime counts. What a program
// reserves outside of that comes off, but not so much that less than leastShare is left: a collector
// that never stops helps nobody.
const (
	heapShare  = 0.9
	leastShare = 0.25
)

// limitMemory has Go's collector keep within the memory that total says there is, less what the
// program reserves outside Go's heap. GOMEMLIMIT wins, where the operator has set it. It returns the
// limit that holds, math.MaxInt64 for none, and whether the reserve is too large for it. On an error
// the limit is as it was.
func limitMemory(reserve int64, total memlimit.Provider) (limit int64, squeezed bool, err error) {
	forGo := func() (uint64, error) {
		all, err := total()
		if err != nil {
			return 0, err
		}
		left, least := heapShare*float64(all)-float64(reserve), leastShare*float64(all)
		squeezed = left < least
		return uint64(max(left, least)), nil
	}
	limit, err = memlimit.Set(memlimit.WithProvider(forGo), memlimit.WithRatio(1))
	return limit, squeezed, err
}

// limitMemoryOf is limitMemory for a program that tells its log.
func limitMemoryOf(reserve int64, log *slog.Logger) {
	limit, squeezed, err := limitMemory(reserve, memlimit.FromCgroup)
	log = log.With("reserved_bytes", reserve)
	switch {
	case err != nil:
		log.Info("how much memory there is could not be found out: set GOMEMLIMIT where it is limited", "error", err)
	case squeezed:
		log.Warn("what the program reserves beside Go's heap leaves that too little of the memory there is", "limit_bytes", limit)
	case limit == math.MaxInt64:
		log.Info("memory is not limited")
	default:
		log.Info("memory is limited", "limit_bytes", limit)
	}
}
