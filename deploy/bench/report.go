package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// report is the content of bench.json.
type report struct {
	At       time.Time         `json:"at"`
	Machine  machine           `json:"machine"`
	Rounds   int               `json:"rounds"`
	Scale    float64           `json:"scale"`
	Settings map[string]string `json:"settings,omitempty"` // of the product that differ from the default
	Cases    []caseReport      `json:"cases"`
	Subjects []subjectReport   `json:"subjects"`
}

// caseReport is a case with its figures: medians over the rounds.
type caseReport struct {
	Name     string  `json:"name"`
	About    string  `json:"about"`
	Quantity string  `json:"quantity"`
	Unit     string  `json:"unit"`
	Ours     float64 `json:"ours"`
	Ref      float64 `json:"ref,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // the median of the rounds' ratios, not the ratio of the medians
	Bar      float64 `json:"bar,omitempty"`   // for the ratio, or for ours where there is no reference
	AtLeast  bool    `json:"at_least,omitempty"`
	Met      *bool   `json:"met,omitempty"` // absent without a bar

	OursSeconds   float64 `json:"ours_s,omitempty"`
	RefSeconds    float64 `json:"ref_s,omitempty"`
	WallSeconds   float64 `json:"wall_s,omitempty"` // as the client sees it
	CPUSeconds    float64 `json:"cpu_s,omitempty"`
	RefCPUSeconds float64 `json:"ref_cpu_s,omitempty"`
	Rows          int     `json:"rows,omitempty"`
	Bytes         int64   `json:"bytes,omitempty"`
	RowsPerSecond float64 `json:"rows_per_s,omitempty"`
	MBPerSecond   float64 `json:"mb_per_s,omitempty"` // 10⁶ bytes
	PeakRSS       float64 `json:"peak_rss_mib,omitempty"`
	RefPeakRSS    float64 `json:"ref_peak_rss_mib,omitempty"`

	Figures []float64 `json:"figures"` // what the bar is for, round by round
}

// subjectReport is everything that was measured of a subject, round by round.
type subjectReport struct {
	Name   string        `json:"name"`
	Rounds []measurement `json:"rounds"`
}

func newReport(b *bench, chosen []benchCase, needed []subject, measured map[string][]measurement) report {
	r := report{At: b.began.UTC().Truncate(time.Second), Machine: b.machine, Rounds: b.settings.Rounds, Scale: b.settings.Scale, Settings: map[string]string{}}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if name == "INGESTA_MASK_SALT" { // a secret, and nothing is masked here
			continue
		}
		if _, ofStack := b.stack.env[name]; strings.HasPrefix(name, "INGESTA_") && !ofStack {
			r.Settings[name] = value
		}
	}
	for _, c := range chosen {
		r.Cases = append(r.Cases, reportCase(c, measured[c.Ours], measured[c.Ref]))
	}
	for _, s := range needed {
		r.Subjects = append(r.Subjects, subjectReport{s.name, measured[s.name]})
	}
	return r
}

func reportCase(c benchCase, ours, ref []measurement) caseReport {
	time := func(all []measurement) float64 { return median(seconds.each(all)) }
	r := caseReport{
		Name: c.Name, About: c.About, Quantity: c.Quantity.name, Unit: c.Quantity.unit,
		Ours: median(c.Quantity.each(ours)), Ref: median(c.Quantity.each(ref)), Bar: c.Bar, AtLeast: c.AtLeast,
		OursSeconds: time(ours), RefSeconds: time(ref),
		WallSeconds:   median(wall.each(ours)),
		CPUSeconds:    median(processor.each(ours)),
		RefCPUSeconds: median(processor.each(ref)),
		PeakRSS:       median(memory.each(ours)), RefPeakRSS: median(memory.each(ref)),
		Figures: c.figures(ours, ref),
	}
	figure := c.figure(ours, ref)
	if c.Ref != "" {
		r.Ratio = figure
	}
	if c.Bar != 0 {
		met := c.met(figure)
		r.Met = &met
	}
	if len(ours) > 0 && r.OursSeconds > 0 {
		r.Rows, r.Bytes = ours[0].Rows, ours[0].Bytes
		r.RowsPerSecond, r.MBPerSecond = float64(r.Rows)/r.OursSeconds, float64(r.Bytes)/1e6/r.OursSeconds
	}
	return r
}

// write writes the report to a file.
func (r report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// print writes the tables for people.
func (r report) print(out io.Writer) error {
	m := r.Machine
	fmt.Fprintf(out, "\n%d cores of %s, %.1f GiB, Linux %s, %s", m.Cores, m.CPU, m.MemoryGiB, m.Kernel, m.Go)
	for _, server := range [][2]string{
		{"PostgreSQL", m.PostgreSQL}, {"MySQL", m.MySQL}, {"RabbitMQ", m.RabbitMQ}, {"Redis", m.Redis}, {"versitygw", m.VersityGW},
	} {
		if name, version := server[0], server[1]; version != "" {
			fmt.Fprintf(out, ", %s %s", name, version)
		}
	}
	fmt.Fprintf(out, "\nmedians of %d rounds", r.Rounds)
	if r.Scale < 1 {
		fmt.Fprintf(out, " at a scale of %v; the bars are for the full size", r.Scale)
	}
	fmt.Fprint(out, "\n\n")

	rows := [][]string{{"case", "ours", "reference", "ratio", "bar", "met", "rows/s", "MB/s", "peak MiB", "cpu s"}}
	for _, c := range r.Cases {
		rows = append(rows, c.cells())
	}
	if _, err := io.WriteString(out, table(rows)); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}

func (c caseReport) cells() []string {
	with := func(value float64, unit string) string {
		if value == 0 {
			return ""
		}
		return number(value) + unit
	}
	bar, met := "", ""
	if c.Met != nil {
		sign := "≤ "
		if c.AtLeast {
			sign = "≥ "
		}
		bar, met = sign+number(c.Bar), "no"
		if *c.Met {
			met = "yes"
		}
	}
	unit := " " + c.Unit
	return []string{
		c.Name, with(c.Ours, unit), with(c.Ref, unit), with(c.Ratio, ""), bar, met,
		with(c.RowsPerSecond, ""), with(c.MBPerSecond, ""), with(c.PeakRSS, ""), with(c.CPUSeconds, ""),
	}
}
