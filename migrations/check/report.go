package check

import "encoding/json"

// Report is what all checks found, in their order.
type Report struct{ Results []Result }

// Result is a finding and the service that it is about.
type Result struct {
	Service Service
	Finding
}

// OK reports whether nothing failed. What was skipped is no failure.
func (r Report) OK() bool { return r.count(StatusFailed) == 0 }

func (r Report) count(status Status) int {
	n := 0
	for _, result := range r.Results {
		if result.Status == status {
			n++
		}
	}
	return n
}

// MarshalJSON returns the report for machines:
//
//	{"ok": false, "checks": [{"service": "mysql", "title": "connection", "status": "failed", "detail": "",
//	  "cause": "connection refused", "next_step": "start it: make up", "elapsed_ms": 1.25, "lines": []}]}
//
// Every field is always there. status is "ok", "failed" or "skipped".
func (r Report) MarshalJSON() ([]byte, error) {
	type row struct {
		Service   Service  `json:"service"`
		Title     string   `json:"title"`
		Status    string   `json:"status"`
		Detail    string   `json:"detail"`
		Cause     string   `json:"cause"`
		NextStep  string   `json:"next_step"`
		ElapsedMS float64  `json:"elapsed_ms"`
		Lines     []string `json:"lines"`
	}
	rows := make([]row, len(r.Results))
	for i, x := range r.Results {
		rows[i] = row{
			Service: x.Service, Title: x.Title, Status: x.Status.String(), Detail: x.Detail, Cause: x.Cause,
			NextStep: x.NextStep, ElapsedMS: float64(x.Elapsed.Microseconds()) / 1000, Lines: append([]string{}, x.Lines...),
		}
	}
	return json.Marshal(struct {
		OK     bool  `json:"ok"`
		Checks []row `json:"checks"`
	}{r.OK(), rows})
}
