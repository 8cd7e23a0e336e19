package seeds

import (
	"strings"

	"github.com/google/uuid"
)

// namespace keeps our ids apart from all other UUIDs of version 5. It must never change: databases
// are filled already.
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/pharmavida/ingesta/migrations/seeds"))

// id returns the id of the row of a table that has this natural key.
func id(table string, key ...string) string {
	return uuid.NewSHA1(namespace, []byte(table+"/"+strings.Join(key, "/"))).String()
}
