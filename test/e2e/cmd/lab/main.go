// Command lab makes the machine that the end-to-end tests run on, and runs a
// script on one for a person who wants to look around.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

const usage = `usage:
  lab prepare      make what the lab consists of: QEMU, a kernel, the guest's root
  lab prepare-k8s  make that, and a Kubernetes
  lab run SCRIPT   boot a guest with two PFs of 7 VFs, and run a bash script there
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "prepare":
		_, err = lab.Prepare(ctx, os.Stdout)
	case len(os.Args) == 2 && os.Args[1] == "prepare-k8s":
		_, err = lab.PrepareKubernetes(ctx, os.Stdout)
	case len(os.Args) == 3 && os.Args[1] == "run":
		err = run(ctx, os.Args[2])
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, script string) (err error) {
	assets, err := lab.Prepare(ctx, os.Stderr)
	if err != nil {
		return err
	}
	guest, err := lab.Boot(ctx, assets, lab.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, guest.Close()) }()
	fmt.Fprintf(os.Stderr, "lab: booted in %s; the console is in %s\n", guest.BootTime(), guest.Logs())
	output, err := guest.Shell(ctx, script)
	fmt.Print(output.Stdout)
	fmt.Fprint(os.Stderr, output.Stderr)
	return err
}
