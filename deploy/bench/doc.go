// Command bench measures the system end to end, on servers of its own, against the fastest ways that
// the databases have of their own and against the method of the original scripts.
//
// One run measures everything round by round: in each round every subject once, the system's exports
// and their references in turn, so that whatever slows the machine down strikes both sides. A case
// holds one subject against another, or against a number. Its figure is the median over the rounds,
// and its bar is data of the program (cases.go).
//
// A bar that is missed is told, and is no failure: the exit code is 0 whenever everything was measured.
// It is 1 when something broke: a job that did not succeed, a file with too few rows, a reference that
// failed.
package main
