// Package server knows how each server of the stack is set up, started and asked whether it works.
//
// Every server gets its data folder, port and credentials from here and reads no configuration of the
// machine; all listen on the loopback address only. A server is described by values and two functions,
// and knows nothing of the others or of when it is started.
//
// Not a goal: durability. The data can be made again, so PostgreSQL and MariaDB do not wait for the disk.
package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
)

// Host is the only address servers listen on.
const Host = "127.0.0.1"

// Server is one long-running process.
type Server struct {
	Name string
	Port int

	// Prepare makes the folders and files the server needs and returns the program to start. It is
	// called before every start and must leave what exists as it is.
	Prepare func(context.Context) (Launch, error)

	// Ready succeeds once the server does its work for an authenticated client.
	Ready func(context.Context) error
	// StartTimeout is how long that may take.
	StartTimeout time.Duration

	// Stop is the signal that makes it end in good order, within Grace.
	Stop  syscall.Signal
	Grace time.Duration
}

// Launch is what to start, and the configuration outside the command line that it depends on.
type Launch struct {
	Command       process.Command
	Configuration string
}

// baseEnv is all that a server inherits.
func baseEnv(home string) []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + home, "LANG=C.UTF-8", "TZ=UTC"}
}

// program finds a program where Debian puts it, else in PATH.
func program(debian string) (string, error) {
	if _, err := os.Stat(debian); err == nil {
		return debian, nil
	}
	found, err := exec.LookPath(filepath.Base(debian))
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", filepath.Base(debian), err)
	}
	return found, nil
}

// initialise makes the folder at path by making it under another name first, so that a set-up cut
// short is never taken for a whole one.
func initialise(path string, account process.Account, make func(unfinished string) error) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	unfinished := path + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing an unfinished folder: %w", err)
	}
	if err := account.MkdirAll(unfinished); err != nil {
		return err
	}
	if err := make(unfinished); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("putting a finished folder in place: %w", err)
	}
	return nil
}

// getOK asks an HTTP server and wants status 200.
func getOK(ctx context.Context, url string, authenticate func(*http.Request)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	if authenticate != nil {
		authenticate(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		const enough = 300
		said, err := io.ReadAll(io.LimitReader(response.Body, enough))
		if err != nil {
			return fmt.Errorf("reading the answer of %s: %w", url, err)
		}
		return fmt.Errorf("%s answers %s: %s", url, response.Status, said)
	}
	return nil
}

// newest is the path with the highest version number at the place of the pattern's only star.
func newest(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("finding %s: none there", pattern)
	}
	version := func(path string) float64 {
		v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(path))), 64) // no number sorts first
		return v
	}
	return slices.MaxFunc(found, func(a, b string) int { return int(version(a)*100) - int(version(b)*100) }), nil
}
