package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// defaultDatabase is the one that go's own variable names, or the public one.
func defaultDatabase(variable string) string {
	if variable == "" {
		return "https://vuln.go.dev"
	}
	return variable
}

// reachTimeout bounds the question whether the database is there.
const reachTimeout = 20 * time.Second

// reach returns nil when the database answers, and else why it does not. A database in a folder
// (file://) needs no network: what is wrong with it is for the check itself to say.
func reach(ctx context.Context, database string) error {
	if strings.HasPrefix(database, "file:") {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reachTimeout, fmt.Errorf("no answer within %s", reachTimeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(database, "/")+"/index/modules.json.gz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
