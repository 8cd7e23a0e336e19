package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// resetPeak makes the kernel forget the highest resident set of a process.
func resetPeak(pid int) error {
	const resetPeakRSS = "5" // see proc(5), clear_refs
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte(resetPeakRSS), 0); err != nil {
		return fmt.Errorf("resetting the peak of process %d: %w", pid, err)
	}
	return nil
}

// peak returns the highest resident set of a process in MiB.
func peak(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the peak of process %d: %w", pid, err)
	}
	return parsePeak(string(status))
}

var errNoPeak = errors.New("its status has no VmHWM")

// parsePeak reads VmHWM, which the kernel tells in KiB. A process that has ended has none.
func parsePeak(status string) (mib float64, err error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return 0, fmt.Errorf("reading VmHWM: %w", err)
		}
		return kib / 1024, nil
	}
	return 0, errNoPeak
}

// cpu returns the processor time that a process has had, to a hundredth of a second.
func cpu(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return parseCPU(string(stat))
}

// parseCPU adds utime and stime, the 14th and 15th field, in ticks of USER_HZ, which is 100 wherever
// Go runs. The second field is a name in parentheses that may hold anything.
func parseCPU(stat string) (float64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3 // those left begin with the third
	if len(fields) <= stime {
		return 0, errors.New("reading the processor time: too few fields")
	}
	var ticks float64
	for _, field := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the processor time: %w", err)
		}
		ticks += n
	}
	return ticks / 100, nil
}

// samplePeak is how often a process that will end is asked for its peak. The ru_maxrss that the kernel
// tells in the end would be no less than our own: a child begins with our memory.
const samplePeak = 20 * time.Millisecond

// pipe runs the commands side by side, each reading what the one before it writes, and measures from
// the start of the first to the end of the last. What the last one prints is thrown away unless its
// Stdout is set.
func pipe(commands ...*exec.Cmd) (measurement, error) {
	var ends []*os.File // ours, to be closed when the children have them
	closeEnds := func() {
		for _, end := range ends {
			_ = end.Close() // the children have their own
		}
		ends = nil
	}
	defer closeEnds()
	complaints := make([]bytes.Buffer, len(commands))
	for i, command := range commands {
		command.Stderr = &complaints[i]
		if i == 0 {
			continue
		}
		read, write, err := os.Pipe()
		if err != nil {
			return measurement{}, fmt.Errorf("making a pipe: %w", err)
		}
		ends = append(ends, read, write)
		commands[i-1].Stdout, command.Stdin = write, read
	}

	began := time.Now()
	peaks, ended := make([]float64, len(commands)), make(chan struct{})
	var watching sync.WaitGroup
	var problems []error
	started := commands[:0:0]
	for i, command := range commands {
		if err := command.Start(); err != nil {
			problems = append(problems, fmt.Errorf("starting %s: %w", command.Path, err))
			break
		}
		started = append(started, command)
		watching.Go(func() { peaks[i] = watchPeak(command.Process.Pid, ended) })
	}
	closeEnds()
	var m measurement
	for i, command := range started {
		if err := command.Wait(); err != nil {
			problems = append(problems, fmt.Errorf("running %s: %w\n%s", command.Path, err, tail(complaints[i].String())))
		}
		m.CPU += (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds()
	}
	m.Seconds = time.Since(began).Seconds()
	close(ended)
	watching.Wait()
	for _, peak := range peaks {
		m.Peak += peak
	}
	return m, errors.Join(problems...)
}

// watchPeak returns the highest resident set that the process was seen to have until ended is closed.
func watchPeak(pid int, ended <-chan struct{}) float64 {
	ticker := time.NewTicker(samplePeak)
	defer ticker.Stop()
	var highest float64
	for {
		if mib, err := peak(pid); err == nil { // none any more once it has ended
			highest = max(highest, mib)
		}
		select {
		case <-ticker.C:
		case <-ended:
			return highest
		}
	}
}

// tail returns the end of what a program said.
func tail(said string) string {
	const most = 2000
	return strings.TrimSpace(said[max(0, len(said)-most):])
}
