package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// Product is a program of the product that serves HTTP: the gateway or a worker.
type Product struct {
	Name         string
	Binary       string
	Dir          string
	Port         int
	PortVariable string
	Environment  []string
}

// prepare has the program check its configuration, so that one that is wrong is told before
// anything that runs is stopped.
func (p Product) prepare(ctx context.Context) (Launch, error) {
	command := process.Command{
		Path: p.Binary,
		Env:  slices.Concat(p.Environment, []string{p.PortVariable + "=" + strconv.Itoa(p.Port)}),
		Dir:  p.Dir,
	}
	check := command
	check.Args = []string{"--check-config"}
	if _, err := check.Run(ctx); err != nil {
		return Launch{}, err
	}
	configuration, err := p.files()
	return Launch{Command: command, Configuration: configuration}, err
}

// files returns the content of every file that the environment names: one that was edited is a
// configuration that changed.
func (p Product) files() (string, error) {
	var content strings.Builder
	for _, variable := range p.Environment {
		name, path, _ := strings.Cut(variable, "=")
		if !strings.HasSuffix(name, "_FILE") || path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", name, err)
		}
		content.Write(text)
	}
	return content.String(), nil
}

// Server describes the process.
func (p Product) Server() Server {
	return Server{
		Name:    p.Name,
		Port:    p.Port,
		Prepare: p.prepare,
		Ready: func(ctx context.Context) error {
			return getOK(ctx, "http://"+net.JoinHostPort(Host, strconv.Itoa(p.Port))+"/ready", nil)
		},
		StartTimeout: time.Minute,
		Stop:         syscall.SIGTERM,
		Grace:        40 * time.Second, // a worker may hand its jobs back
	}
}
