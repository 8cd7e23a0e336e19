package jobs

import "github.com/pharmavida/ingesta/shared/ingest"

// Query selects jobs, newest first.
type Query struct {
	Database ingest.Database // empty: all
	Status   ingest.Status   // empty: all
	Limit    int             // at least 1
	Cursor   string          // Page.Next of the page before, or empty for the first
}

// Page is one page of a list.
type Page struct {
	Jobs []ingest.Job
	Next string // cursor of the next page, empty on the last
}
