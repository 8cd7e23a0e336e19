package server

import (
	"context"
	"net"
	"strconv"
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

// Server describes the process.
func (p Product) Server() Server {
	return Server{
		Name: p.Name,
		Port: p.Port,
		Prepare: func(context.Context) (Launch, error) {
			return Launch{Command: process.Command{
				Path: p.Binary,
				Env:  append(p.Environment[:len(p.Environment):len(p.Environment)], p.PortVariable+"="+strconv.Itoa(p.Port)),
				Dir:  p.Dir,
			}}, nil
		},
		Ready: func(ctx context.Context) error {
			_, err := getOK(ctx, "http://"+net.JoinHostPort(Host, strconv.Itoa(p.Port))+"/ready", nil)
			return err
		},
		StartTimeout: time.Minute,
		Stop:         syscall.SIGTERM,
		Grace:        40 * time.Second, // a worker may hand its jobs back
	}
}
