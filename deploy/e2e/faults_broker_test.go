//go:build faults

package e2e

// brokerScenarios break RabbitMQ and the ways to it.
func brokerScenarios() []scenario { return nil }
