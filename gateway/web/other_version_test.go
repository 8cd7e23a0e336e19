package web

import (
	"testing"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// A worker of a later version may write codes and outcomes that these texts do not know: its jobs are
// shown with the bare names, and no page fails for one of them.
func TestPagesShowWhatOtherVersionsWrite(t *testing.T) {
	strange := jobsOfAllKinds()[3]
	strange.Code, strange.Error = "quota_exceeded", "the lake is full"
	strange.Attempts[0].Outcome, strange.Attempts[0].Code = "paused", "quota_exceeded"
	strange.Results[0].Columns[1].Mask = "tokenize"
	strange.Results[1].Code = "quota_exceeded"
	service := &fakeService{jobs: []ingest.Job{strange}}
	s := newSite(t, service, auth.Config{})
	for path, part := range map[string]string{"/": "recent", "/jobs": "jobs", "/jobs/" + id("4"): "job-error"} {
		w := s.get(path)
		checkPage(t, w, "en")
		shows(t, w, part, "quota_exceeded")
	}
	w := s.get("/jobs/" + id("4"))
	shows(t, w, "attempts", "paused", "quota_exceeded")
	shows(t, w, "dataset-users", "tokenize")
	shows(t, w, "dataset-compras", "quota_exceeded")
}
