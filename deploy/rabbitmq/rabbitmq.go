// Package rabbitmq holds what a broker of the system is given beside its queues, in RabbitMQ's own
// format for definitions. Programs apply it with shared/broker/management; a broker may also load
// the file itself (load_definitions), where its virtual host is / and RABBITMQ_QUEUE has its
// default.
package rabbitmq

import _ "embed" // for the definitions

//go:embed definitions.json
var definitions string

// Definitions returns the content of the file definitions.json.
func Definitions() []byte { return []byte(definitions) }
