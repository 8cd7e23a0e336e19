package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/client"
	"github.com/pharmavida/ingesta/shared/ingest"
)

func (t *tool) downloadCommand() *cobra.Command {
	output, force := "", false
	cmd := &cobra.Command{
		Use:   "download JOB DATASET",
		Short: "Fetch the file that a job has made of a dataset, and check it",
		Long: "Fetches the file that a job has made of a dataset, and compares size and SHA-256 with what the job says. A file\n" +
			"appears under its name only when it is whole and right.",
		Example:           "  ingesta download 0193b7a2-… users -o users.csv\n  ingesta download 0193b7a2-… users -o - | head",
		Args:              unexpected(cobra.ExactArgs(2)),
		ValidArgsFunction: t.completeResults(),
		Annotations:       map[string]string{patient: ""},
		RunE: t.asking(func(ctx context.Context, c *client.Client, args []string) error {
			job, err := c.Job(ctx, args[0])
			if err != nil {
				return err
			}
			result := job.Results.Of(args[1])
			if result == nil {
				return missing{fmt.Errorf("job %s has no dataset %q: it has %s", job.ID, args[1], strings.Join(namesOf(job.Results), ", "))}
			}
			if output == "" {
				if output = path.Base(result.Key); output != clean(output) || strings.HasPrefix(output, ".") || output == "-" || output == "/" {
					return usageError{errors.New("the object's own name is no good one for a file here: -o gives another")}
				}
			}
			return t.download(ctx, c, job, *result, output, force)
		}),
	}
	cmd.Flags().StringVarP(&output, "file", "o", "", "where to put it; - is standard output (default the object's own name, here)")
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	return cmd
}

// download fetches the object into the file, which is there afterwards whole or not at all.
func (t *tool) download(ctx context.Context, c *client.Client, job ingest.Job, result ingest.Result, name string, force bool) error {
	if name == "-" {
		return t.fetch(ctx, c, job, result, t.process.Stdout)
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) && !force {
		return usageError{fmt.Errorf("%s is there already: --force replaces it, -o gives another name", name)}
	}
	part, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.part")
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	defer os.Remove(part.Name()) // unless it has got its name by then
	err = t.fetch(ctx, c, job, result, part)
	if err == nil {
		err = part.Chmod(0o644)
	}
	if err := errors.Join(err, part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), name); err != nil {
		return fmt.Errorf("naming the file: %w", err)
	}
	if t.asJSON() {
		return t.printJSON(map[string]any{"file": name, "bytes": result.Bytes, "registros": result.Rows, "sha256": result.SHA256})
	}
	verified := "size and SHA-256 are right"
	if result.SHA256 == "" {
		verified = "the size is right; the job tells no SHA-256"
	}
	t.note("%s: %s rows, %s; %s", name, grouped(result.Rows), size(result.Bytes), verified)
	return nil
}

// fetch copies the object to w and checks it.
func (t *tool) fetch(ctx context.Context, c *client.Client, job ingest.Job, result ingest.Result, w io.Writer) error {
	object, err := c.Download(ctx, job.ID, result.Dataset)
	if err != nil {
		return err
	}
	defer object.Close()
	sum := sha256.New()
	progress := &meter{t: t, total: result.Bytes, begun: t.now(), shows: t.isTerminal(t.process.Stderr)}
	n, err := io.Copy(io.MultiWriter(w, sum, progress), object)
	progress.clear()
	switch got := hex.EncodeToString(sum.Sum(nil)); {
	case err != nil:
		return fmt.Errorf("fetching the object: %w", err)
	case n != result.Bytes:
		return fmt.Errorf("the object has %d bytes, and the job says %d: it is not what the job has written", n, result.Bytes)
	case result.SHA256 != "" && got != result.SHA256:
		return fmt.Errorf("the object's SHA-256 is %s, and the job says %s: it is not what the job has written", got, result.SHA256)
	}
	return nil
}

// meter shows how much has been fetched.
type meter struct {
	t     *tool
	total int64
	begun time.Time
	shows bool // on a terminal

	done int64
	last time.Time
}

func (m *meter) Write(p []byte) (int, error) {
	m.done += int64(len(p))
	now := m.t.now()
	if m.shows && now.Sub(m.last) >= redrawPause {
		m.last = now
		rate := float64(m.done) / max(now.Sub(m.begun).Seconds(), 0.001)
		fmt.Fprintf(m.t.process.Stderr, "\r\x1b[K%s of %s, %s/s", size(m.done), size(m.total), size(int64(rate)))
	}
	return len(p), nil
}

func (m *meter) clear() {
	if m.shows && !m.last.IsZero() {
		fmt.Fprint(m.t.process.Stderr, "\r\x1b[K")
	}
}
