// Command guest is the lab machine's init and its agent: one static binary in
// the initramfs. As process 1 it mounts the root and reaps; it starts itself
// again as the agent, which brings the NICs up and serves the host.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		if err := serve(); err != nil {
			fmt.Println("lab: agent:", err)
			os.Exit(1)
		}
		return
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "this program is the init of the lab's guest; see test/e2e/lab")
		os.Exit(2)
	}
	fmt.Println("lab: init:", boot())
	powerOff()
}
