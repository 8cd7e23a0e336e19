package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/pharmavida/ingesta/gateway/jobs"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// systemState is the page of everything that has to work.
type systemState struct {
	Summary      summary
	Dependencies []dependency
	Databases    []databaseState
}

type dependency struct {
	Name string
	jobs.Dependency
}

type databaseState struct {
	Name ingest.Database
	jobs.DatabaseState
}

// system answers GET /system.
func (v *visit) system() error {
	return v.show(http.StatusOK, page{
		title: "system.title", nav: "system", template: "system", data: v.systemState(v.glance.look(v.ctx())),
		live: url.Values{"page": {"system"}},
	})
}

func (v *visit) systemState(h jobs.Health) systemState {
	state := systemState{Summary: summarize(h)}
	for _, name := range slices.Sorted(maps.Keys(h.Dependencies)) {
		state.Dependencies = append(state.Dependencies, dependency{name, h.Dependencies[name]})
	}
	for _, db := range v.Catalog.Databases() {
		found := h.Databases[db.Name]
		if found.Status == "" { // nobody has looked yet
			found.Status = jobs.Down
		}
		state.Databases = append(state.Databases, databaseState{db.Name, found})
	}
	return state
}
