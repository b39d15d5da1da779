package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/spf13/cobra"

	"github.com/nri-sriov/nri-sriov/pkg/check"
)

func newCheck() *cobra.Command {
	var output outputFlag
	var paths check.Paths
	var pod, stateDir, runDir string
	var live bool
	cmd := &cobra.Command{
		Use: "check", Short: "Config, IOMMU, PFs, NRI socket and settings of the runtime, one line each with the mend", Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			if pod != "" {
				return errors.New("check -f is not supported yet")
			}
			if live {
				return checkLive(cmd, newClient(runDir), &output)
			}
			paths.Remembered = remembered(stateDir, runDir)
			findings := check.Node(paths)
			err := output.print(cmd.OutOrStdout(), map[string]any{"findings": findings}, func() string { return lines(findings) })
			if err == nil && check.Failed(findings) {
				err = errSilent
			}
			return err
		}),
	}
	output.add(cmd, "text", "json")
	flags := cmd.Flags()
	flags.StringVar(&paths.Config, "config", defaultConfig, "the node's config")
	flags.StringVar(&paths.Sysfs, "sysfs", "/sys", "where sysfs is mounted")
	flags.StringVar(&paths.NRISocket, "nri-socket", api.DefaultSocketPath, "the runtime's NRI socket")
	flags.StringVar(&paths.ContainerdConfig, "containerd-config", "/etc/containerd/config.toml", "containerd's config")
	flags.BoolVar(&live, "live", false, "compare every attachment with the kernel instead")
	flags.StringVar(&runDir, "run-dir", defaultRunDir, "the daemon's run folder")
	flags.StringVar(&stateDir, "state-dir", defaultStateDir, "the daemon's state folder")
	flags.StringVarP(&pod, "file", "f", "", "a pod manifest: would this pod work, and why not (not supported yet)")
	return cmd
}

// checkLive asks the daemon how its attachments are.
func checkLive(cmd *cobra.Command, daemon *client, output *outputFlag) error {
	var list driftList
	if err := daemon.do(cmd.Context(), "GET", "/v1/drift", &list); err != nil {
		return err
	}
	err := output.print(cmd.OutOrStdout(), list, list.text)
	if err == nil && len(list.Drifted) > 0 {
		err = errSilent
	}
	return err
}

func lines(findings []check.Finding) string {
	var text strings.Builder
	for _, one := range findings {
		fmt.Fprintf(&text, "%-8s %s: %s\n", one.Status, one.Subject, one.Message)
		if one.Mend != "" {
			fmt.Fprintf(&text, "%-8s   mend: %s\n", "", strings.ReplaceAll(one.Mend, "\n", "\n"+strings.Repeat(" ", 13)))
		}
	}
	return text.String()
}
