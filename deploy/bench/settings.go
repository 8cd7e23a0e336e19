package main

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/pharmavida/ingesta/shared/config"
)

// settings are the variables of the Makefile's target.
type settings struct {
	Rounds int     `env:"ROUNDS" envDefault:"5"`
	Cases  string  `env:"CASES"` // a regular expression: only the cases whose names match
	Scale  float64 `env:"SCALE" envDefault:"1"`
	Keep   bool    `env:"KEEP"` // leave the servers running
	Watch  string  `env:"WATCH"`
}

func loadSettings(environ []string) (settings, error) {
	var s settings
	if _, err := config.Load(&s, environ); err != nil {
		return settings{}, fmt.Errorf("reading the settings: %w", err)
	}
	return s, nil
}

// Validate reports every value that cannot work.
func (s settings) Validate() error {
	var problems []error
	if s.Rounds < 1 {
		problems = append(problems, fmt.Errorf("ROUNDS=%d is less than 1", s.Rounds))
	}
	if !(s.Scale > 0 && s.Scale <= 1) {
		problems = append(problems, fmt.Errorf("SCALE=%v does not lie above 0 and up to 1", s.Scale))
	}
	if _, err := regexp.Compile(s.Cases); err != nil {
		problems = append(problems, fmt.Errorf("CASES: %w", err))
	}
	return errors.Join(problems...)
}
