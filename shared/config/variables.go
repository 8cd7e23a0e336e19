package config

// variables lists every INGESTA_* variable that any program of the system reads. A test holds the
// list against the programs' Config structs and against .env.example.
var variables = []string{
	"INGESTA_ENV",
}
