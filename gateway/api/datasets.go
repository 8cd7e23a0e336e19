package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// The answer of GET /api/ingesta/datasets: what would be exported, without the statements.
type (
	datasetList struct {
		CatalogDigest string            `json:"catalog_digest"`
		Databases     []databaseDetails `json:"databases"`
	}
	databaseDetails struct {
		Name     ingest.Database  `json:"name"`
		Datasets []datasetDetails `json:"datasets"`
	}
	datasetDetails struct {
		Name    string   `json:"name"`
		Object  string   `json:"object"`
		Kind    string   `json:"kind"`              // table, collection or query
		Sources []string `json:"sources"`           // the tables or collections it reads
		Columns []string `json:"columns,omitempty"` // of the file; absent: every column of the table that may be exported
		Exclude []string `json:"exclude,omitempty"` // columns left out on purpose

		// Columns whose values are masked, and how.
		Masks map[string]string `json:"masks,omitempty"`
	}
)

func (a *API) datasets(c echo.Context) error {
	list := datasetList{CatalogDigest: a.catalog.Digest()}
	for _, db := range a.catalog.Databases() {
		details := databaseDetails{Name: db.Name}
		for _, d := range db.Datasets {
			details.Datasets = append(details.Datasets, detailsOf(d))
		}
		list.Databases = append(list.Databases, details)
	}
	return answer(c, http.StatusOK, list)
}

func detailsOf(d catalog.Dataset) datasetDetails {
	details := datasetDetails{Name: d.Name, Object: d.Object, Kind: "query", Sources: d.Sources(), Exclude: d.Exclude}
	switch {
	case d.Table != "":
		details.Kind = "table"
	case d.Collection != "":
		details.Kind = "collection"
	}
	for _, column := range d.Columns {
		if d.Withholds(column.Name) != "" {
			continue
		}
		details.Columns = append(details.Columns, column.Label())
		if !column.Mask.IsZero() {
			if details.Masks == nil {
				details.Masks = map[string]string{}
			}
			details.Masks[column.Label()] = column.Mask.String()
		}
	}
	if d.Extra {
		details.Columns = append(details.Columns, catalog.ExtraColumn)
	}
	return details
}
