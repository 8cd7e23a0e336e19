// Command demodata fills PharmaVida's three sources with demonstration data: MongoDB, MySQL or
// MariaDB, and PostgreSQL.
//
// The same size gives the same rows on every machine. It waits until each server answers, and works on
// all of them side by side. A load that already stands is left alone; one of another size, of another
// version of this program, or cut short, is made anew. A mark tells: a comment on a table, or a
// document in a database apart, which names the program's version and the size.
//
// It takes the addresses and logins of the workers' configuration, and uses them as they are: the
// databases must exist, the logins may make tables in them, and nothing is granted to anybody. Tables
// and collections that it did not make are refused, never replaced.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/shared/program"
)

// settings are the program's own; those of the sources are read for the chosen ones alone.
type settings struct {
	Mode config.Mode `env:"INGESTA_ENV" envDefault:"development"`
	Size sizeConfig
}

func main() { os.Exit(program.Main(run)) }

// run loads the sources that the flags choose and returns the exit code.
func run(ctx context.Context, process program.Process) int {
	var only []ingest.Database
	var wait time.Duration
	var sources []source
	return program.Program[settings]{
		Name: "demodata",
		About: "Fills PharmaVida's sources with demonstration data, as many rows as DEMO_ROWS and DEMO_DOCUMENTS say.\n" +
			"Its logins must be allowed to make tables.",
		Flags: func(flags *flag.FlagSet) {
			flags.Func("only", "fill this `database` only: "+names()+" (may be repeated; default: all)", func(text string) error {
				if !slices.Contains(databases, ingest.Database(text)) {
					return errors.New("use " + names())
				}
				only = append(only, ingest.Database(text))
				return nil
			})
			flags.DurationVar(&wait, "wait", 2*time.Minute, "how long to wait for a server that does not answer")
		},
		Check: func(cfg settings) error {
			if cfg.Mode == config.Production {
				return errors.New("INGESTA_ENV=production: demonstration data has no place there")
			}
			var err error
			sources, err = configured(only, process.Environ)
			return err
		},
		Run: func(ctx context.Context, cfg settings, log *slog.Logger) error {
			out := &lines{to: process.Stdout}
			return together(sources, func(s source) error {
				if err := await(ctx, s, wait, log.With("database", s.Database())); err != nil {
					return fmt.Errorf("awaiting %s: %w", s.Database(), err)
				}
				made, err := s.Load(ctx, cfg.Size.size())
				if err != nil {
					return fmt.Errorf("filling %s: %w", s.Database(), err)
				}
				return out.say(s.Database(), made)
			})
		},
	}.Execute(ctx, process)
}

// together runs f for every source side by side, lets each come to its own end, and joins their errors.
func together(sources []source, f func(source) error) error {
	problems := make([]error, len(sources))
	var running sync.WaitGroup
	for i, s := range sources {
		running.Go(func() { problems[i] = f(s) })
	}
	running.Wait()
	return errors.Join(problems...)
}

// lines prints the outcome of each source, from several goroutines.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

// say prints what was made in a database; nothing means that a load stood already.
func (l *lines) say(database ingest.Database, made string) error {
	if made == "" {
		made = "unchanged"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := fmt.Fprintf(l.to, "%s: %s\n", database, made); err != nil {
		return fmt.Errorf("printing the outcome: %w", err)
	}
	return nil
}

// names lists the databases for people.
func names() string {
	var texts []string
	for _, database := range databases {
		texts = append(texts, string(database))
	}
	return strings.Join(texts, ", ")
}
