// Package contract holds the product to its contracts: every answer of a gateway on real servers to
// the HTTP contract, and every message on a real broker to the contract of the broker. It fails when
// an answer is not as the contract says, and also when a part of the contract was never seen.
//
// It has tests only. The linters of the two documents stand beside them: see lint.sh.
package contract
