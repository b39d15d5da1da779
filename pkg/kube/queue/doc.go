// Package queue keeps what the API server is to be told until it has been told: bounded, the newest word about each thing
// only, with pauses that grow while the server is away. It knows nothing of what is told. Nobody who puts something in
// waits for anything.
package queue
