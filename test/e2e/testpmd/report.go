package testpmd

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Counters are one set of counters of a port.
type Counters struct {
	RXPackets, RXBytes, RXMissed, RXErrors, RXNoBuffer uint64
	TXPackets, TXBytes, TXErrors                       uint64
}

// Port is what testpmd says of one port.
type Port struct {
	MAC    string // as testpmd set it up, in lower case
	LinkUp bool   // when it was set up
	// NIC is the device's own counters, by the newest reading. They go on where the device's last user left them: compare
	// two readings.
	NIC      Counters
	Readings int // how many of the NIC's counters were printed
	// Forwarded is what this testpmd received and sent, known once it has ended by itself. It has packets only.
	Forwarded *Counters
}

// Report is what a testpmd has printed so far.
type Report struct {
	Ports map[int]Port // by the port's number, which follows the order of PCI addresses
	// Complaints are the lines that say what went wrong. testpmd goes on without the port then.
	Complaints []string
}

var (
	logPrefix = regexp.MustCompile(`^\S+ (?:stdout|stderr) [FP] `) // of a container's log in CRI's format
	escape    = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")       // it clears the screen before each reading
	macLine   = regexp.MustCompile(`^Port (\d+): ([[:xdigit:]:]{17})$`)
	linkLine  = regexp.MustCompile(`^Port (\d+) Link (up|down)`)
	heading   = regexp.MustCompile(`^[#-]+ (NIC|Forward) statistics for port (\d+) +[#-]+$`)
	footing   = regexp.MustCompile(`^[#+-]{20,}`)
	counter   = regexp.MustCompile(`([RT]X-[a-z]+): +(\d+)`)
	complaint = regexp.MustCompile(`^(?:EAL|PCI_BUS|VFIO\w*|testpmd|ETHDEV): .*\b(?i:cannot|couldn't|failed|error|invalid|no probed)\b`)
)

// Parse reads what testpmd printed, with or without the prefixes of a container's log. A line that has no end yet is left
// for the next time.
func Parse(text string) (Report, error) {
	r := reader{report: Report{Ports: map[int]Port{}}}
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		line = escape.ReplaceAllString(logPrefix.ReplaceAllString(line, ""), "")
		if err := r.read(strings.TrimSpace(line)); err != nil {
			return Report{}, fmt.Errorf("read what testpmd says: %q: %w", line, err)
		}
	}
	return r.report, nil
}

// reader knows which block of counters it is in.
type reader struct {
	report Report
	block  string // NIC, Forward or none
	port   int    // that the block is about
}

func (r *reader) read(line string) error {
	if found := heading.FindStringSubmatch(line); found != nil {
		r.block = found[1]
		return r.change(found[2], func(port *Port, number int) {
			r.port = number
			if r.block == "Forward" {
				port.Forwarded = &Counters{}
			}
		})
	}
	if found := macLine.FindStringSubmatch(line); found != nil {
		return r.change(found[1], func(port *Port, _ int) { port.MAC = strings.ToLower(found[2]) })
	}
	if found := linkLine.FindStringSubmatch(line); found != nil {
		return r.change(found[1], func(port *Port, _ int) { port.LinkUp = found[2] == "up" })
	}
	switch {
	case footing.MatchString(line):
		r.block = ""
	case r.block != "":
		return r.count(line)
	case complaint.MatchString(line):
		r.report.Complaints = append(r.report.Complaints, line)
	}
	return nil
}

func (r *reader) change(number string, change func(*Port, int)) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	port := r.report.Ports[n]
	change(&port, n)
	r.report.Ports[n] = port
	return nil
}

// count takes a line of counters. In a block of the NIC's, that of the sent packets is the last.
func (r *reader) count(line string) error {
	port := r.report.Ports[r.port]
	into := &port.NIC
	if r.block == "Forward" {
		into = port.Forwarded
	}
	for _, found := range counter.FindAllStringSubmatch(line, -1) {
		value, err := strconv.ParseUint(found[2], 10, 64)
		if err != nil {
			return err
		}
		if place := into.place(found[1]); place != nil {
			*place = value
		}
		if r.block == "NIC" && found[1] == "TX-bytes" {
			port.Readings++
		}
	}
	r.report.Ports[r.port] = port
	return nil
}

// place is the counter of a name of testpmd's, nil for one that is not kept.
func (c *Counters) place(name string) *uint64 {
	switch name {
	case "RX-packets":
		return &c.RXPackets
	case "RX-bytes":
		return &c.RXBytes
	case "RX-missed":
		return &c.RXMissed
	case "RX-errors":
		return &c.RXErrors
	case "RX-nombuf":
		return &c.RXNoBuffer
	case "TX-packets":
		return &c.TXPackets
	case "TX-bytes":
		return &c.TXBytes
	case "TX-errors":
		return &c.TXErrors
	}
	return nil
}
