// Command guest is the lab machine's init and its agent: one static binary in
// the initramfs. As process 1 it mounts the root and becomes systemd; it starts
// itself again as the keeper of the agent, and that starts the agent, which
// brings the NICs up and serves the host.
package main

import (
	"fmt"
	"os"
)

func main() {
	role := ""
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	switch {
	case role == "agent":
		if err := serve(); err != nil {
			fmt.Println("lab: agent:", err)
			os.Exit(1)
		}
	case role == "keeper":
		fmt.Println("lab: keeper:", keep())
		powerOff()
	case os.Getpid() == 1:
		fmt.Println("lab: init:", boot())
		powerOff()
	default:
		fmt.Fprintln(os.Stderr, "this program is the init of the lab's guest; see test/e2e/lab")
		os.Exit(2)
	}
}
