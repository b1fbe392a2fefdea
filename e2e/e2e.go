// Package e2e drives the built binary with the clients that people use: the AWS CLI, the Go SDK, curl, ab.
//
// It has nothing but tests and what they share: a server of one test's own (its own data directory, port and instances,
// so that tests run beside each other), and the clients. A client that is not installed skips the tests that need it, by
// name. Whatever a test starts is gone when it ends, also when it fails.
package e2e
