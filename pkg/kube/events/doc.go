// Package events owns Kubernetes Events: what one looks like, how those that say the same become one with a count, and how
// many a single pod may cause.
package events
