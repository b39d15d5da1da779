package testpmd

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// User is the one that testpmd runs as, and its group.
const User = 1000

// Pages is how many huge pages of 2 MB one testpmd takes, and a little more.
const Pages = 16

// Mode is what testpmd does with packets.
type Mode string

const (
	// Receive counts what arrives and drops it.
	Receive Mode = "rxonly"
	// Echo answers ARP and ping, whatever the address: two of them in one VLAN answer for each other.
	Echo Mode = "icmpecho"
	// Flood sends as fast as it can, some 200,000 packets a second, most of which nobody receives.
	Flood Mode = "txonly"
)

// Options is how a testpmd differs from the usual one.
type Options struct {
	// Devices are the VFs: PCI addresses, or $NAME for what a variable of the container says. The lowest address is port 0.
	Devices []string
	Mode    Mode // default Receive
	// Burst is how many packets a port sends, once and before anything else; at most 512. They are of 64 bytes, UDP from
	// 198.18.0.1 to 198.18.0.2 port 9.
	Burst int
	// Peer is the MAC address that port 0 sends to.
	Peer string
	// EAL are further arguments of DPDK's environment.
	EAL []string
	// SmallPages has testpmd do without huge pages. It starts a second later and leaves files in its runtime folder, /tmp.
	SmallPages bool
	// Container is what it runs in; Container fills in what is left out.
	Container lab.Container
}

// Container is what is to be created for a testpmd: it is the container's first process, so that its end is the
// container's. It runs as User without any capability, on the guest's own files.
func Container(o Options) lab.Container {
	c := o.Container
	if c.Name == "" {
		c.Name = "testpmd"
	}
	if c.RunAsUser == 0 {
		c.RunAsUser, c.RunAsGroup = User, User
	}
	c.NoCapabilities = true
	c.CPUShares = cmp.Or(c.CPUShares, 32) // it spins, and is to leave the CPUs to the rest of the guest
	c.Mounts = append(lab.UserlandMounts(), c.Mounts...)
	// The shell puts the variables in, and is replaced.
	c.Command = []string{"/bin/sh", "-euc", "exec " + strings.Join(o.words(), " ")}
	return c
}

func (o Options) words() []string {
	words := []string{
		"/usr/bin/dpdk-testpmd", "--no-telemetry",
		// Two threads that may run on any CPU: several testpmd would else all spin on the same one.
		"--lcores", "0@0-1,1@0-1",
	}
	if o.SmallPages {
		// Each page is a mapping of the IOMMU's, and vfio allows 65535 of them: 256 MB are one too many.
		words = append(words, "--no-huge", "-m", "64")
	} else {
		words = append(words, "--in-memory") // no file anywhere, so no folder to own either
	}
	for _, device := range o.Devices {
		words = append(words, "-a", `"`+device+`"`)
	}
	words = append(words, o.EAL...)
	mode := o.Mode
	if mode == "" {
		mode = Receive
	}
	words = append(words, "--",
		"--total-num-mbufs=2048", "--no-lsc-interrupt", "--no-mlockall", "--auto-start",
		"--stats-period", "1", // without it, testpmd ends at the end of its input, which is empty
		"--forward-mode="+string(mode),
	)
	if o.Burst > 0 {
		words = append(words, "--tx-first", fmt.Sprintf("--burst=%d", o.Burst))
	}
	if o.Peer != "" {
		words = append(words, "--eth-peer=0,"+o.Peer)
	}
	return words
}
