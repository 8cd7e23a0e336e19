// Command worker-postgresql runs the ingestions of PostgreSQL.
package main

import (
	"os"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers"
	"github.com/pharmavida/ingesta/workers/postgresql"
)

func main() { os.Exit(workers.Main(ingest.PostgreSQL, postgresql.New)) }
