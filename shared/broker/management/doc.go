// Package management speaks to RabbitMQ's management interface, over HTTP: it tells how a broker
// is, prepares one for the system (Apply), and says what is missing there (Verify). Exchanges,
// queues and bindings are brought about over AMQP, by broker.Declare.
//
// It guarantees that every request ends in bounded time, that everything may be repeated, that
// nothing of an operator's is deleted or narrowed, and that no password is in any error.
//
// It does not change or delete queues, and it follows no redirection: the credentials are for the
// configured address alone. It works with RabbitMQ 3.10 to 4.x, whose plugin rabbitmq_management
// must be enabled.
package management
