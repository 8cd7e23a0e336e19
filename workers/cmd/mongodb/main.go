// Command worker-mongodb runs the ingestions of MongoDB.
package main

import (
	"os"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers"
	"github.com/pharmavida/ingesta/workers/mongodb"
)

func main() { os.Exit(workers.Main(ingest.MongoDB, mongodb.New)) }
