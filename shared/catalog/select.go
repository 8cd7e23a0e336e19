package catalog

import (
	"slices"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// Selected is a column that is exported, and where the source has it.
type Selected struct {
	Column
	At int // index among the source's columns
}

// Select chooses among the columns that the source has, given by name in its order: the declared
// ones in theirs, or all. Excluded ones are withheld, and sensitive ones unless allowed. Of several
// columns of one name the first is meant. Its errors are permanent, of code ColumnNotFound: a
// column of a rule that the source lacks, or nothing left to export. A collection lacks no field.
func (d Dataset) Select(names []string) (selected []Selected, withheld []ingest.Withheld, err error) {
	wanted := d.Columns
	if len(wanted) == 0 {
		for _, name := range names {
			wanted = append(wanted, Column{Name: name})
		}
	}
	for _, column := range wanted {
		at := slices.Index(names, column.Name)
		if at < 0 {
			return nil, nil, ingest.Permanent(ingest.ColumnNotFound, nil, "column %q does not exist in dataset %q", column.Name, d.Name)
		}
		if rule := d.Withholds(column.Name); rule != "" {
			withheld = append(withheld, ingest.Withheld{Name: column.Name, Rule: rule})
			continue
		}
		selected = append(selected, Selected{Column: column, At: at})
	}
	for _, name := range d.Exclude {
		known := slices.ContainsFunc(withheld, func(w ingest.Withheld) bool { return w.Name == name })
		switch {
		case known:
		case d.Collection != "":
			withheld = append(withheld, ingest.Withheld{Name: name, Rule: d.Withholds(name)})
		default:
			return nil, nil, ingest.Permanent(ingest.ColumnNotFound, nil, "column %q, which dataset %q excludes, does not exist", name, d.Name)
		}
	}
	for _, order := range d.OrderBy {
		if d.Collection == "" && !slices.Contains(names, order.Column) {
			return nil, nil, ingest.Permanent(ingest.ColumnNotFound, nil, "column %q, by which dataset %q is ordered, does not exist", order.Column, d.Name)
		}
	}
	if len(selected) == 0 {
		return nil, nil, ingest.Permanent(ingest.ColumnNotFound, nil, "dataset %q has no column that may be exported", d.Name)
	}
	return selected, withheld, nil
}
