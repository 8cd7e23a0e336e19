package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

// On a terminal bars show how far a job is, and give way to the result.
func TestTerminal(t *testing.T) {
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("needs the program script, which makes a terminal")
	}
	for _, colours := range []bool{true, false} {
		s := newSystem(t)
		var screen screenText
		cmd := exec.Command(script, "--quiet", "--return", "--command", os.Args[0]+" run mysql --wait", os.DevNull)
		cmd.Env = append(slices.Clone(s.environ), asProgram+"=yes", "TERM=xterm", "PATH="+os.Getenv("PATH"))
		if !colours {
			cmd.Env = append(cmd.Env, "NO_COLOR=1")
		}
		cmd.Stdout, cmd.Stderr = &screen, &screen
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		job := s.newest()
		lease := s.claim(job)
		progress := slices.Clone(job.Results[:1])
		progress[0].State, progress[0].Rows, progress[0].EstimatedRows, progress[0].RowsPerSecond, progress[0].Bytes = ingest.Exporting, 75, 150, 10, 1024
		if _, err := lease.Renew(t.Context(), progress); err != nil {
			t.Fatal(err)
		}
		stacktest.Eventually(t, "the bar is half full", func() bool {
			now := uncoloured(played(screen.String()))
			return strings.Contains(now, "█") && strings.Contains(now, " 50%  75 rows  10/s  ~8s left")
		})
		s.finish(lease, job, ingest.Success)
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
		last := uncoloured(played(screen.String()))
		want(t, last, "mysql     users    done    150  4.1 kB  s3://bucket/", "mysql: success after")
		if strings.Contains(last, "█") || strings.Contains(last, "░") {
			t.Errorf("a bar is left behind:\n%s", last)
		}
		if got := strings.Contains(screen.String(), "\x1b[36m"); got != colours {
			t.Errorf("it has colours: %t, want %t", got, colours)
		}
	}
}
