package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/joho/godotenv"
)

// envFiles are looked for where the program is started: what docker compose reads, else what make
// up has written.
var envFiles = []string{".env", ".local/env"}

// readEnvFile adds the variables of a file to the environment, which comes first, and says so. A
// path that was not asked for means the first of envFiles that is there, if any; an empty one that
// was means none.
func (t *tool) readEnvFile(path string, asked bool) error {
	if asked {
		if path == "" {
			return nil
		}
		return t.addVariables(path)
	}
	for _, path := range envFiles {
		if err := t.addVariables(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (t *tool) addVariables(path string) error {
	variables, err := godotenv.Read(path)
	if err != nil {
		// What it says of a line that it cannot read shows that line.
		if _, ok := errors.AsType[*fs.PathError](err); !ok {
			err = errors.New("it is not a file of lines NAME=value")
		}
		return usageError{fmt.Errorf("reading the variables in %s: %w", path, err)}
	}
	if t.process.AnySet("MYSQL_") {
		delete(variables, "DATABASE_URL") // it would win over what was set here, and lead elsewhere
	}
	var added []string
	for name, value := range variables {
		added = append(added, name+"="+value)
		if _, set := os.LookupEnv(name); !set && strings.HasPrefix(name, "AWS_") {
			if err := os.Setenv(name, value); err != nil { // the SDK looks for credentials there only
				return fmt.Errorf("handing %s of %s to the AWS SDK: %w", name, path, err)
			}
		}
	}
	t.process.Environ = append(added, t.process.Environ...) // the last one counts
	fmt.Fprintf(t.process.Stderr, "variables that are not set come from %s\n", path)
	return nil
}
