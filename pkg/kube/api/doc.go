// Package api is the one way to the API server: single requests with a bound in time, and answers whose errors say what
// is to be done about them. What is asked for, and when it is tried again, is decided by those above it.
package api
