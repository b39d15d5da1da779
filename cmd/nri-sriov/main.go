// Command nri-sriov gives pods SR-IOV virtual functions through containerd's NRI. Without arguments, started by
// containerd, it is the plugin itself.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/containerd/nri/pkg/api"
	"github.com/spf13/cobra"
)

// The exit codes of the contract.
const (
	exitFailed = 1
	exitMisuse = 2
)

// failure is an error of the work, told apart from misuse of the command line.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// errSilent ends with exit code 1 when everything has been said already.
var errSilent = errors.New("")

func main() {
	root := newRoot()
	args := os.Args[1:]
	if len(args) == 0 && os.Getenv(api.PluginSocketEnvVar) != "" {
		args = []string{"run"}
	}
	root.SetArgs(args)
	os.Exit(exitCode(root.Execute()))
}

func exitCode(err error) int {
	var failed failure
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errBadRequest):
		return exitMisuse
	case errors.As(err, &failed):
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "nri-sriov:", err)
		}
		return exitFailed
	}
	fmt.Fprintf(os.Stderr, "nri-sriov: %v\nSee nri-sriov --help.\n", err)
	return exitMisuse
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "nri-sriov",
		Short:         "SR-IOV virtual functions for pods, through containerd's NRI",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.Help(); err != nil {
				return err
			}
			return errors.New("a command is needed")
		},
	}
	root.AddCommand(newImport(), newRun(), newInventory(), newPods(), newCandidates(), newCheck(), newRelease(), newNetworks(), newVersion())
	return root
}

// work runs what a subcommand does, so that its errors are failures and not misuse.
func work(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := do(cmd, args); err != nil {
			return failure{err}
		}
		return nil
	}
}
