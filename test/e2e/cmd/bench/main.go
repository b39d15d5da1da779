// Command bench measures what giving a VF to a pod costs, on a machine that needs no SR-IOV hardware: nri-sriov beside the
// kernel's own minimum and beside a CNI plugin, in one guest and in turns. docs/performance.md says what the figures cover.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nri-sriov/nri-sriov/test/e2e/bench"
)

func main() {
	rounds := flag.Int("n", 10, "rounds")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 {
		fmt.Fprintln(os.Stderr, "bench: it takes no arguments, and one round or more")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench.Run(ctx, os.Stdout, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
