package mongodb

import (
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// query says which documents of a collection are read, and in which order.
type query struct {
	filter bson.D
	sort   bson.D // empty: natural order
}

// newQuery reads the dataset's rules for rows. Its error is a filter that is none, or that would
// run code on the server.
func newQuery(d catalog.Dataset) (query, error) {
	q := query{filter: bson.D{}}
	if d.Where != "" {
		if err := bson.UnmarshalExtJSON([]byte(d.Where), false, &q.filter); err != nil {
			return query{}, ingest.Permanent(ingest.QueryFailed, err, "the filter of dataset %s is not valid Extended JSON", d.Name)
		}
		if operator := scripted(q.filter); operator != "" {
			return query{}, ingest.Permanent(ingest.QueryFailed, nil, "the filter of dataset %s runs code on the server: %s", d.Name, operator)
		}
	}
	for _, order := range d.OrderBy {
		direction := 1
		if order.Descending {
			direction = -1
		}
		q.sort = append(q.sort, bson.E{Key: order.Column, Value: direction})
	}
	return q, nil
}

// scripted returns an operator in the filter that runs JavaScript, or "". The catalog refuses them
// in the text; what counts is the filter that is sent.
func scripted(filter any) string {
	switch v := filter.(type) {
	case bson.D:
		for _, e := range v {
			switch e.Key {
			case "$where", "$function", "$accumulator":
				return e.Key
			}
			if found := scripted(e.Value); found != "" {
				return found
			}
		}
	case bson.A:
		for _, item := range v {
			if found := scripted(item); found != "" {
				return found
			}
		}
	}
	return ""
}

// options returns the options of find.
func (q query) options() *options.FindOptionsBuilder {
	opts := options.Find().SetBatchSize(firstBatch)
	if len(q.sort) > 0 {
		// Without an index a sort may need more than the 100 MB of memory that the server gives it.
		opts.SetSort(q.sort).SetAllowDiskUse(true)
	}
	return opts
}

// isWhole reports whether every document of the collection is read.
func (q query) isWhole() bool { return len(q.filter) == 0 }
