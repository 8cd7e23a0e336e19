package api

import "github.com/pharmavida/ingesta/gateway/jobs"

// Routes returns method and path of every route, as "GET /health".
func (a *API) Routes() []string {
	var routes []string
	for _, route := range a.echo.Routes() {
		routes = append(routes, route.Method+" "+route.Path)
	}
	return routes
}

// Needs reports the scope that a route declares, empty for an open one.
func (a *API) Needs(route string) (scope string, declared bool) {
	need, declared := a.needs[route]
	return string(need), declared
}

// Statuses returns the status that each code of a problem has over HTTP.
func Statuses() map[jobs.Code]int {
	statuses := map[jobs.Code]int{}
	for code, c := range classes {
		statuses[code] = c.status
	}
	return statuses
}
