package dpdk

import "time"

// ParseNumber and ParsePageSize read text from outside.
var (
	ParseNumber   = parseNumber
	ParsePageSize = parsePageSize
)

// Writes puts what has the kernel's effects in the place of writing.
func Writes(h *Host, write func(name, text string) error) { h.write = write }

// Write writes to a file of sysfs.
func Write(h *Host, name, text string) error { return h.writeFile(name, text) }

// Settle sets how long links are waited for.
func Settle(h *Host, settle time.Duration) { h.settle = settle }

// Modprobe sets the program that loads modules.
func Modprobe(h *Host, program string) { h.modprobe = program }

// Number is a node's number, by sysfs or by the node.
func Number(h *Host, name, sysfs string) (major, minor int64, err error) {
	return h.number(name, sysfs)
}
