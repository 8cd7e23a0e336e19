package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestParsePeak(t *testing.T) {
	got, err := parsePeak("Name:\tpsql\nVmPeak:\t  99999 kB\nVmHWM:\t   11264 kB\nVmRSS:\t    9000 kB\n")
	if err != nil || got != 11 {
		t.Errorf("11264 kB read as %v MiB, %v; want 11", got, err)
	}
	if _, err := parsePeak("Name:\tpsql\nState:\tZ (zombie)\n"); err == nil {
		t.Error("a process that has ended has a peak")
	}
}

func TestParseCPU(t *testing.T) {
	const stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 12 13 14"
	if got, err := parseCPU(stat); err != nil || got != 3 {
		t.Errorf("250 and 50 ticks read as %v s, %v; want 3", got, err)
	}
	if _, err := parseCPU("42 (x) S 1"); err == nil {
		t.Error("a line that ends early is read")
	}
}

func TestPeakOfThisProcess(t *testing.T) {
	const size = 64 << 20
	if err := resetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	before, err := peak(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte{1}, size)
	after, err := peak(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if rise := after - before; rise < 60 {
		t.Errorf("%d bytes more raise the peak by %v MiB; want about %d", len(block), rise, size>>20)
	}
}

func TestPipe(t *testing.T) {
	ctx := t.Context()
	var got strings.Builder
	last := exec.CommandContext(ctx, "wc", "-c")
	last.Stdout = &got
	m, err := pipe(exec.CommandContext(ctx, "head", "-c", "20000000", "/dev/zero"), exec.CommandContext(ctx, "cat"), last)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(got.String()) != "20000000" {
		t.Errorf("%s bytes arrived; want 20000000", got.String())
	}
	if m.Seconds <= 0 || m.Peak <= 0 {
		t.Errorf("measured %+v; want a time and a peak", m)
	}
	for _, commands := range [][]string{{"false", "cat"}, {"true", "false"}, {"true", "no-such-program"}} {
		if _, err := pipe(exec.CommandContext(ctx, commands[0]), exec.CommandContext(ctx, commands[1])); err == nil {
			t.Errorf("%s succeeded", strings.Join(commands, " | "))
		}
	}
}
