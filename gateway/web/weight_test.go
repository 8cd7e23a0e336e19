package web

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/pharmavida/ingesta/gateway/auth"
)

// What a browser loads to show the first page, and how long the server takes to make it.
const (
	heaviest = 100 << 10
	slowest  = 100 * time.Millisecond
	tries    = 10
)

func TestFirstPageIsLightAndQuick(t *testing.T) {
	service := everything()
	for len(service.jobs) < 100 { // more than any page shows
		service.jobs = append(service.jobs, jobsOfAllKinds()...)
	}
	for i := range service.jobs {
		service.jobs[i].ID = service.jobs[i].ID[:30] + string([]byte{'0' + byte(i/1000%10), '0' + byte(i/100%10), '0' + byte(i/10%10), '0' + byte(i%10), '0', '0'})
	}
	s := newSite(t, service, auth.Config{})
	s.get("/") // templates escape themselves at their first use
	for _, path := range []string{"/", "/jobs", "/datasets", "/system"} {
		took := time.Hour
		for range tries { // the machine may be busy with other things
			begun := time.Now()
			s.get(path)
			took = min(took, time.Since(begun))
		}
		w := s.get(path)
		if w.Code != http.StatusOK || took > slowest {
			t.Errorf("%s: status %d after %v, want 200 within %v", path, w.Code, took, slowest)
		}
		weight := w.Body.Len()
		loaded := map[string]bool{}
		for _, match := range regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
			if !loaded[match[1]] {
				loaded[match[1]] = true
				weight += s.get(match[1]).Body.Len()
			}
		}
		if len(loaded) < 2 || weight > heaviest {
			t.Errorf("%s weighs %d bytes with %v, want at most %d", path, weight, loaded, heaviest)
		}
		t.Logf("%s: %d bytes in all, uncompressed, %v", path, weight, took)
	}
}
