package jobstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Exported is a complete export of a dataset, and the job that made it.
type Exported struct {
	JobID  string
	Result ingest.Result
}

// Latest returns for each dataset of each database the export of the job that ended last among those
// that ended as success or partial with the dataset done. It outlives the job.
func (s *Store) Latest(ctx context.Context) (map[ingest.Database]map[string]Exported, error) {
	const doing = "reading the latest exports"
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	fields, err := s.client.HGetAll(ctx, s.prefix+"latest").Result()
	if err != nil {
		return nil, wrap(ctx, doing, err)
	}
	latest := map[ingest.Database]map[string]Exported{}
	for name, value := range fields {
		database, dataset, _ := strings.Cut(name, " ")
		id, encoded, _ := strings.Cut(value, " ")
		exported := Exported{JobID: id, Result: ingest.Result{Dataset: dataset}}
		if err := json.Unmarshal([]byte(encoded), &exported.Result); err != nil {
			return nil, fmt.Errorf("%s: dataset %s of %s: %w", doing, dataset, database, err)
		}
		datasets := latest[ingest.Database(database)]
		if datasets == nil {
			datasets = map[string]Exported{}
			latest[ingest.Database(database)] = datasets
		}
		datasets[dataset] = exported
	}
	return latest, nil
}
