package web

import (
	"cmp"
	"slices"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// The size of a chart, in units of its own: a page stretches it to the room that there is.
const (
	chartBars   = 20 // the jobs it shows
	chartStep   = 12 // from bar to bar
	chartBar    = 9  // the width of one
	chartHeight = 44
	chartStub   = 2 // the height of a bar of nothing
)

// chart is a row of bars, one for each of the last jobs, the newest on the right. It is made of
// attributes alone: the policy of the pages allows no style in them.
type chart struct {
	Width, Height int
	Bars          []bar
	Least, Most   int64 // of the jobs that came to something
	Latest        int64
}

type bar struct {
	X, Y, Width, Height int
	Status              ingest.Status
	Label               int64 // what it stands for
	Job                 ingest.Job
}

// newChart shows a measure of jobs that are over, given newest first.
func newChart(over []ingest.Job, measure func(ingest.Job) int64) chart {
	over = over[:min(len(over), chartBars)]
	c := chart{Width: chartBars*chartStep - (chartStep - chartBar), Height: chartHeight}
	if len(over) == 0 {
		return c
	}
	values := make([]int64, len(over))
	for i, j := range over {
		values[i] = measure(j)
	}
	c.Least, c.Most, c.Latest = slices.Min(values), slices.Max(values), values[0]
	for i, value := range values {
		height := int64(chartStub)
		if c.Most > 0 {
			height = max(height, value*chartHeight/c.Most)
		}
		c.Bars = append(c.Bars, bar{
			X: (chartBars - 1 - i) * chartStep, Y: chartHeight - int(height), Width: chartBar, Height: int(height),
			Status: over[i].Status, Label: value, Job: over[i],
		})
	}
	slices.SortFunc(c.Bars, func(a, b bar) int { return cmp.Compare(a.X, b.X) })
	return c
}
