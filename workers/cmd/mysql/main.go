// Command worker-mysql runs the ingestions of MySQL.
package main

import (
	"os"

	"github.com/pharmavida/ingesta/shared/ingest"
	"github.com/pharmavida/ingesta/workers"
	"github.com/pharmavida/ingesta/workers/mysql"
)

func main() { os.Exit(workers.Main(ingest.MySQL, mysql.New)) }
