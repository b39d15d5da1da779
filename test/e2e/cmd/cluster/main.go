// Command cluster runs another command with the lab's Kubernetes: two nodes on one wire, with nri-sriov installed. The
// command finds kubectl in its PATH and the cluster in KUBECONFIG; an interactive shell will do. When it ends, so does the
// cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/cluster"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

func main() {
	file := flag.String("config", "test/e2e/k8s/testdata/config.yaml", "the nodes' config")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: cluster [-config FILE] COMMAND [ARGUMENT…]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	// The command gets a terminal's signals itself, and this one goes on when it has ended.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Ignore(os.Interrupt)
	if err := run(ctx, *file, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string, argv []string) (err error) {
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	logs, err := os.MkdirTemp("", "nri-sriov-cluster-logs-")
	if err != nil {
		return err
	}
	c, kubernetes, err := cluster.StartInstalled(ctx, string(config), logs, os.Stderr)
	if err != nil {
		return fmt.Errorf("%w; the logs are in %s", err, logs)
	}
	defer func() {
		if err != nil {
			collect, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			fmt.Fprintln(os.Stderr, "cluster: the logs are in", logs)
			err = errors.Join(err, c.Collect(collect), c.Close())
			return
		}
		err = errors.Join(c.Close(), os.RemoveAll(logs))
	}()
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubectl().Kubeconfig, "NRI_SRIOV_K8S_IMAGE="+lab.Image, "PATH="+kubernetes.Dir+":"+os.Getenv("PATH"))
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command.Run()
}
