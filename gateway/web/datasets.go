package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// datasetList is the page of what can be exported.
type datasetList struct {
	Digest    string
	Databases []databaseDatasets
	MayRun    bool
}

type databaseDatasets struct {
	Name     ingest.Database
	Datasets []datasetEntry
}

// datasetEntry is one dataset as the catalog has it, and as its last export found it.
type datasetEntry struct {
	Database ingest.Database
	Name     string
	Object   string
	Kind     string // table, collection or query
	Sources  []string
	Where    bool
	OrderBy  string
	Extra    bool
	Every    bool // every column of the table, and no export has told which those are
	Columns  []columnEntry
	Masked   []columnEntry // those of Columns that are
	Withheld []ingest.Withheld
	Last     *jobs.Exported // nil: it never was
	MayRun   bool
}

type columnEntry struct {
	Name, Source, Type, SourceType, Mask string
}

// datasets answers GET /datasets.
func (v *visit) datasets() error {
	exports, err := v.Reader.Exports(v.ctx())
	if err != nil {
		return err
	}
	data := datasetList{Digest: v.Catalog.Digest(), MayRun: v.mayRun()}
	for _, db := range v.Catalog.Databases() {
		shown := databaseDatasets{Name: db.Name}
		for _, d := range db.Datasets {
			var last *jobs.Exported
			if export, ever := exports[db.Name][d.Name]; ever {
				last = &export
			}
			entry := entryOf(db.Name, d, last)
			entry.MayRun = data.MayRun
			shown.Datasets = append(shown.Datasets, entry)
		}
		data.Databases = append(data.Databases, shown)
	}
	return v.show(http.StatusOK, page{title: "datasets.title", nav: "datasets", template: "datasets", data: data})
}

// entryOf returns what the page tells of a dataset.
func entryOf(db ingest.Database, d catalog.Dataset, last *jobs.Exported) datasetEntry {
	entry := describe(db, d, last)
	for _, column := range entry.Columns {
		if column.Mask != "" {
			entry.Masked = append(entry.Masked, column)
		}
	}
	return entry
}

// describe tells of a dataset by its last export or, when there is none, by the catalog alone.
func describe(db ingest.Database, d catalog.Dataset, last *jobs.Exported) datasetEntry {
	entry := datasetEntry{
		Database: db, Name: d.Name, Object: d.Object, Kind: "query", Sources: d.Sources(), Where: d.Where != "", Extra: d.Extra, Last: last,
	}
	switch {
	case d.Table != "":
		entry.Kind = "table"
	case d.Collection != "":
		entry.Kind = "collection"
	}
	var order []string
	for _, by := range d.OrderBy {
		order = append(order, by.Column+map[bool]string{true: " ↓", false: " ↑"}[by.Descending])
	}
	entry.OrderBy = strings.Join(order, ", ")
	if last != nil {
		for _, c := range last.Result.Columns {
			entry.Columns = append(entry.Columns, columnEntry{c.Name, c.Source, c.Type, c.SourceType, c.Mask})
		}
		entry.Withheld = last.Result.Withheld
		return entry
	}
	for _, c := range d.Columns {
		if rule := d.Withholds(c.Name); rule != "" {
			entry.Withheld = append(entry.Withheld, ingest.Withheld{Name: c.Name, Rule: rule})
			continue
		}
		column := columnEntry{Name: c.Label(), Mask: c.Mask.String()}
		if c.Label() != c.Name {
			column.Source = c.Name
		}
		entry.Columns = append(entry.Columns, column)
	}
	for _, name := range d.Exclude {
		if !slices.ContainsFunc(entry.Withheld, func(w ingest.Withheld) bool { return w.Name == name }) {
			entry.Withheld = append(entry.Withheld, ingest.Withheld{Name: name, Rule: catalog.Excluded})
		}
	}
	if d.Extra {
		entry.Columns = append(entry.Columns, columnEntry{Name: catalog.ExtraColumn})
	}
	entry.Every = len(entry.Columns) == 0
	return entry
}
