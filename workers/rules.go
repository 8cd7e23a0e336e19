package workers

import (
	"fmt"

	"github.com/pharmavida/ingesta/shared/catalog"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// Rules say what is exported, and of which columns how much.
type Rules struct {
	CatalogFile string        `env:"CATALOG_FILE"`      // empty: the built-in catalog
	MaskSalt    config.Secret `env:"INGESTA_MASK_SALT"` // of the masks that hash
}

// load returns the catalog, able to mask, and what it says of the worker's database.
func (r Rules) load(database ingest.Database) (*catalog.Catalog, catalog.Database, error) {
	plain, err := catalog.Load(r.CatalogFile)
	if err != nil {
		return nil, catalog.Database{}, fmt.Errorf("CATALOG_FILE: %w", err)
	}
	datasets, err := plain.Salted(r.MaskSalt.Reveal())
	if err != nil {
		return nil, catalog.Database{}, fmt.Errorf("INGESTA_MASK_SALT: %w", err)
	}
	db, ok := datasets.Database(database)
	if !ok {
		return nil, catalog.Database{}, fmt.Errorf("CATALOG_FILE: the catalog has no database %q: add it, or run the worker of one it has", database)
	}
	return datasets, db, nil
}
