package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/spf13/cobra"

	"github.com/nri-sriov/nri-sriov/pkg/candidate"
	"github.com/nri-sriov/nri-sriov/pkg/check"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
)

func newCheck() *cobra.Command {
	var output outputFlag
	var paths check.Paths
	var pod, namespace, stateDir, runDir string
	var live bool
	cmd := &cobra.Command{
		Use: "check", Short: "Config, IOMMU, PFs, NRI socket and settings of the runtime, one line each with the mend", Args: cobra.NoArgs,
		Long: "What is well on this node and what is not: config, IOMMU, PFs, NRI socket and settings of the runtime, one line each with\n" +
			"the mend. With -f a pod (or what makes pods) is checked instead: annotation, networks, resources, containers, VFs.\n" +
			"Exit code 1 when something is a failure; a warning can be lived with.",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			if pod != "" {
				return checkPod(cmd, pod, namespace, nodeFlags{config: paths.Config, sysfs: paths.Sysfs, stateDir: stateDir, runDir: runDir}, &output)
			}
			if live {
				return checkLive(cmd, newClient(runDir), &output)
			}
			paths.Remembered = remembered(stateDir, runDir)
			return printFindings(cmd, &output, check.Node(paths))
		}),
	}
	output.add(cmd, "text", "json")
	flags := cmd.Flags()
	flags.StringVar(&paths.Config, "config", configHere(), "the node's config")
	flags.StringVar(&paths.Sysfs, "sysfs", "/sys", "where sysfs is mounted")
	flags.StringVar(&paths.NRISocket, "nri-socket", api.DefaultSocketPath, "the runtime's NRI socket")
	flags.StringVar(&paths.ContainerdConfig, "containerd-config", "/etc/containerd/config.toml", "containerd's config")
	flags.BoolVar(&live, "live", false, "compare every attachment with the kernel instead")
	flags.StringVar(&runDir, "run-dir", defaultRunDir, "the daemon's run folder")
	flags.StringVar(&stateDir, "state-dir", defaultStateDir, "the daemon's state folder")
	flags.StringVarP(&pod, "file", "f", "", "a pod's manifest: would this pod work on this node now, and why not; - for the standard input")
	flags.StringVarP(&namespace, "namespace", "n", "default", "the pod's namespace, where the manifest does not say")
	return cmd
}

// checkPod asks whether a pod would work on this node.
func checkPod(cmd *cobra.Command, file, namespace string, node nodeFlags, output *outputFlag) error {
	text, err := readFile(file, cmd.InOrStdin())
	if err != nil {
		return err
	}
	pod, err := candidate.ReadManifest(text, namespace)
	if err == nil && len(pod.Spec.Containers) == 0 {
		err = errors.New("it has no containers")
	}
	if err != nil {
		return fmt.Errorf("%s is not the manifest of a pod, or of what makes pods: %w", file, err)
	}
	at, err := nodeOf(cmd, node)
	if err != nil {
		return err
	}
	return printFindings(cmd, output, check.Pod(pod, at, cni.NewIPAM(cni.DefaultPluginDirs())))
}

// printFindings ends with exit code 1 when one of them is a failure.
func printFindings(cmd *cobra.Command, output *outputFlag, findings []check.Finding) error {
	err := output.print(cmd.OutOrStdout(), map[string]any{"findings": findings}, func() string { return lines(findings) })
	if err == nil && check.Failed(findings) {
		err = errSilent
	}
	return err
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
