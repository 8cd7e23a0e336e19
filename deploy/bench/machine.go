package main

import (
	"debug/buildinfo"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine is what the figures were measured on.
type machine struct {
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memory_gib"`
	CPU       string  `json:"cpu"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`

	// The versions of the servers that were measured.
	PostgreSQL string `json:"postgresql,omitempty"`
	MySQL      string `json:"mysql,omitempty"`
	RabbitMQ   string `json:"rabbitmq,omitempty"`
	Redis      string `json:"redis,omitempty"`
	VersityGW  string `json:"versitygw,omitempty"` // the S3 server
}

// thisMachine reads what the kernel says; what it does not say stays empty.
func thisMachine() machine {
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return string(text)
	}
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(field(read("/proc/meminfo"), "MemTotal"), " kB"), 64) // 0 if it is not said
	return machine{
		Cores: runtime.NumCPU(), Go: runtime.Version(),
		MemoryGiB: math.Round(kib/(1<<20)*10) / 10,
		CPU:       field(read("/proc/cpuinfo"), "model name"),
		Kernel:    strings.TrimSpace(read("/proc/sys/kernel/osrelease")),
	}
}

// moduleVersion returns the version of a module in a Go program, or nothing.
func moduleVersion(program, module string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return ""
	}
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return dependency.Version
		}
	}
	return ""
}

// field returns the value of the first line "name: value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
