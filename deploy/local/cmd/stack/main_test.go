package main

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := map[string]bool{
		"up":                            true,
		"-root . up":                    true,
		"-root . -name faults up":       true,
		"up -servers":                   true,
		"up -only redis,mariadb":        true,
		"up -servers -only redis":       false,
		"up redis":                      false,
		"-name faults stop redis":       true,
		"start redis mariadb":           true,
		"kill":                          false,
		"stop -servers redis":           false,
		"status":                        true,
		"status -all":                   false,
		"down -all":                     true,
		"clean -all":                    true,
		"-name faults down -all":        false,
		"install-packages redis-server": true,
		"":                              false,
	}
	for line, ok := range tests {
		o, err := parse(strings.Fields(line))
		if (err == nil) != ok {
			t.Errorf("stack %s: %+v, %v; want ok %v", line, o, err, ok)
		}
	}
	o, err := parse(strings.Fields("-name faults stop redis rabbitmq"))
	if err != nil || o.name != "faults" || o.command != "stop" || strings.Join(o.operands, " ") != "redis rabbitmq" {
		t.Errorf("got %+v, %v", o, err)
	}
}
