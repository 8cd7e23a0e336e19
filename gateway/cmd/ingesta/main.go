// Command ingesta is the operator's way to the system, over the gateway's HTTP API: it orders
// ingestions and follows them, looks at jobs, datasets, dead letters and health, listens to events and
// fetches what was exported. `ingesta --help` lists the commands.
//
// Data goes to standard output, as tables or as JSON (--output); progress and advice go to standard
// error. With JSON each command prints one value; those that watch or listen print one a line.
// Its exit codes are for scripts: see exitCodes, which the help shows.
package main

import (
	"os"

	"github.com/pharmavida/ingesta/shared/program"
)

func main() { os.Exit(program.Main(run)) }
