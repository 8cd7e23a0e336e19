package broker

import _ "embed" // for the document

//go:embed asyncapi.yaml
var contract string

// AsyncAPI returns the contract of the broker as an AsyncAPI 3.0 document in YAML: exchanges, queues,
// and the form of every message on them.
func AsyncAPI() []byte { return []byte(contract) }
