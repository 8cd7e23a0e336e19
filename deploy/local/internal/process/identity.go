// Package process starts servers that outlive their starter and later stops exactly those.
//
// A process is known by its number together with its start time and the boot it belongs to, so a
// number that the kernel gave to somebody else is never signalled. What a server started itself is
// found as its descendants and by a mark in the environment, which survives the server's own death.
//
// Not a goal: supervision. A server that dies stays dead until the next start.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ID names one process for ever.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot
	Boot  string `json:"boot"`
}

// ticksPerSecond is USER_HZ, which is 100 on every Linux architecture Go runs on.
const ticksPerSecond = 100

// stat is what /proc/<pid>/stat says that matters here.
type stat struct {
	parent int
	state  byte
	start  uint64
}

// parseStat reads a line of /proc/<pid>/stat. The command's name stands in parentheses and may itself
// hold spaces and parentheses: fields are counted from the last one.
func parseStat(line []byte) (stat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errors.New("parsing a stat line: no command name")
	}
	fields := strings.Fields(string(line[end+1:]))
	const state, parent, start = 0, 1, 19
	if len(fields) <= start {
		return stat{}, fmt.Errorf("parsing a stat line: %d fields after the name", len(fields))
	}
	parentPID, err := strconv.Atoi(fields[parent])
	if err != nil {
		return stat{}, fmt.Errorf("parsing a stat line: parent: %w", err)
	}
	startTicks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("parsing a stat line: start time: %w", err)
	}
	return stat{parent: parentPID, state: fields[state][0], start: startTicks}, nil
}

// gone reports whether the process has ended, waiting at most to be reaped.
func (s stat) gone() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("reading the state of process %d: %w", pid, err)
	}
	return parseStat(line)
}

func boot() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("reading the boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// Identify names the process that has this number now.
func Identify(pid int) (ID, error) {
	s, err := readStat(pid)
	if err != nil {
		return ID{}, err
	}
	b, err := boot()
	if err != nil {
		return ID{}, err
	}
	return ID{PID: pid, Start: s.start, Boot: b}, nil
}

// Alive reports whether this very process still runs.
func (id ID) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	s, err := readStat(id.PID)
	if err != nil || s.gone() || s.start != id.Start {
		return false
	}
	b, err := boot()
	return err == nil && b == id.Boot
}

// Running reports whether some process that has not ended has this number.
func Running(pid int) bool {
	s, err := readStat(pid)
	return err == nil && !s.gone()
}

// Uptime is how long the process has been running.
func (id ID) Uptime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, fmt.Errorf("reading the machine's uptime: %w", err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0, fmt.Errorf("parsing the machine's uptime: %w", err)
	}
	return time.Duration(seconds*float64(time.Second)) - time.Duration(id.Start)*time.Second/ticksPerSecond, nil
}
