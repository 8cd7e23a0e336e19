package jobstore

import (
	"context"
	"fmt"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// openBatch is how many jobs OpenKeys reads at once, about.
const openBatch = 200

// OpenKeys returns the keys of all objects that the jobs of the database write which are not over.
// A job that is accepted meanwhile may be missing; one that was there before and goes on is not.
func (s *Store) OpenKeys(ctx context.Context, database ingest.Database) (map[string]bool, error) {
	const doing = "reading the keys of open jobs"
	keys := map[string]bool{}
	for cursor := "0"; ; {
		r, err := s.run(ctx, doing, s.scripts.open, string(database), cursor, openBatch)
		if err != nil {
			return nil, err
		}
		for i := 1; i < len(r); i++ {
			job := r.list(i)
			results, err := record{
				"id": job.text(0), "targets": job.text(1), "stamp_s": job.text(2), "stamp_seq": job.text(3),
			}.results()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", doing, err)
			}
			for _, result := range results {
				keys[result.Key] = true
			}
		}
		if cursor = r.text(0); cursor == "0" {
			return keys, nil
		}
	}
}
