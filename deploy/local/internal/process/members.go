package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// MarkVariable stands in the environment of every started process and so of all it starts. It does not
// begin with INGESTA_: the product warns of such names that it does not know.
const MarkVariable = "PHARMAVIDA_LOCAL_PROCESS"

// Mark is the value that tells one server of one stack.
func Mark(stack, name string) string { return stack + "/" + name }

// Members lists a server's processes that are alive: the leader, its descendants, and whatever bears
// the mark. PostgreSQL's children overwrite their environment and are found as descendants; what
// the leader's death has orphaned is found by the mark.
func Members(leader ID, mark string) ([]ID, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing the processes: %w", err)
	}
	bootID, err := boot()
	if err != nil {
		return nil, err
	}
	stats := map[int]stat{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A process that ends meanwhile is none of the members.
		if s, err := readStat(pid); err == nil && !s.gone() {
			stats[pid] = s
		}
	}

	member := map[int]bool{}
	if s, ok := stats[leader.PID]; ok && s.start == leader.Start && leader.Boot == bootID {
		member[leader.PID] = true
	}
	marked := []byte(MarkVariable + "=" + mark)
	for pid := range stats {
		if hasVariable(pid, marked) {
			member[pid] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for pid, s := range stats {
			if !member[pid] && member[s.parent] {
				member[pid], grown = true, true
			}
		}
	}

	ids := make([]ID, 0, len(member))
	for pid := range member {
		ids = append(ids, ID{PID: pid, Start: stats[pid].start, Boot: bootID})
	}
	return ids, nil
}

// hasVariable reports whether the process was started with exactly this NAME=value. The environment
// of another user's process cannot be read by an ordinary user: that is a no.
func hasVariable(pid int, variable []byte) bool {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(environment, []byte{0}) {
		if bytes.Equal(entry, variable) {
			return true
		}
	}
	return false
}

// Memory is the resident memory of the processes in bytes; pages that they share count for each.
func Memory(ids []ID) int64 {
	var total int64
	for _, id := range ids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", id.PID))
		if err != nil {
			continue // ended meanwhile
		}
		fields := bytes.Fields(text)
		if len(fields) < 2 {
			continue
		}
		if pages, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}
