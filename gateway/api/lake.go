package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/lake"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// statement answers GET /api/ingesta/datasets/{database}/{name}/ddl: how to read the exports of a dataset
// where they lie.
func (a *API) statement(c echo.Context) error {
	asked, err := parametersOf(c)
	if err != nil {
		return err
	}
	dialect := lake.Athena
	if value, given := asked.text("dialect"); given && dialect.UnmarshalText([]byte(value)) != nil {
		asked.blame("dialect", "must be one of %s", listed(lake.Dialects()))
	}
	if err := asked.check(); err != nil {
		return err
	}
	if err := a.checkDatabase(c.Param("database")); err != nil {
		return err
	}
	name := ingest.Database(c.Param("database"))
	db, _ := a.catalog.Database(name)
	dataset, known := db.Dataset(c.Param("name"))
	if !known {
		p := fault(datasetNotFound, "there is no dataset %s of %s; known: %s", strconv.Quote(cut(c.Param("name"))), name, strings.Join(db.Names(), ", "))
		p.Known = db.Names()
		return p
	}
	exports, err := a.jobs.Exports(c.Request().Context())
	if err != nil {
		return err
	}
	text, err := lake.Statement(dialect, lake.Source{
		Database: name, Dataset: dataset, Export: exports[name][dataset.Name].Result, Template: a.template,
	})
	if refused, ok := errors.AsType[*lake.Error](err); ok {
		return fault(datasetNeverExported, "%s", refused.Message)
	}
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, echo.MIMETextPlainCharsetUTF8, []byte(text))
}
