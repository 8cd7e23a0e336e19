//go:build faults

package e2e

// storeScenarios break Redis, S3, the sources and clocks.
func storeScenarios() []scenario { return nil }
