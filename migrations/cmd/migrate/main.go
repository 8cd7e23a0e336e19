// Command migrate keeps the infrastructure under the system in shape: the schema of Flowlite's
// MySQL database, its demonstration data, the broker's topology and policies, and a check of every
// server. `migrate init` does it all, as often as one likes; `migrate help` lists the rest.
package main

import (
	"os"

	"github.com/pharmavida/ingesta/shared/program"
)

func main() { os.Exit(program.Main(run)) }
