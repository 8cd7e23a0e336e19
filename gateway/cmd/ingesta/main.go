// Command ingesta is the operator's way to the system, over the gateway's HTTP API: it orders
// ingestions and follows them, looks at jobs, datasets, dead letters and health, listens to events and
// fetches what was exported. `ingesta --help` lists the commands.
//
// Data goes to standard output, as tables or as JSON (--output); progress and advice go to standard
// error. With JSON each command prints one value; those that watch or listen print one a line.
//
// Its exit codes are for scripts:
//
//	0    done; with --wait or --watch: the job succeeded
//	1    failed in a way not named below
//	2    the command line, the configuration or the request itself is wrong
//	3    the job that was waited for ended as error or cancelled
//	4    the job that was waited for ended as partial: some datasets are in S3, some failed
//	5    there is no such thing, or its state does not allow it
//	6    not authorised: the token is missing, not good, or lacks a scope
//	7    the gateway, or something that it needs, is not available
//	124  --timeout ran out; a job that was waited for goes on
//	130  interrupted; a job that was waited for goes on
package main

import (
	"os"

	"github.com/pharmavida/ingesta/shared/program"
)

func main() { os.Exit(program.Main(run)) }
