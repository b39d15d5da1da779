package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newPods() *cobra.Command {
	var output outputFlag
	var runDir string
	cmd := &cobra.Command{
		Use: "pods", Short: "Who has what, in which state, and each CNI result", Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			var list podList
			if err := newClient(runDir).do(cmd.Context(), "GET", "/v1/pods", &list); err != nil {
				return err
			}
			return output.print(cmd.OutOrStdout(), list, list.table)
		}),
	}
	output.add(cmd, "table", "json")
	cmd.Flags().StringVar(&runDir, "run-dir", defaultRunDir, "the daemon's run folder")
	return cmd
}

func (l podList) table() string {
	if len(l.Pods) == 0 {
		return "No pod has a VF.\n"
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "POD\tSANDBOX\tNETWORK\tINTERFACE\tDEVICE\tPF\tVF\tPCI ADDRESS\tSTATE\tERROR")
	for _, pod := range l.Pods {
		for _, one := range pod.Attachments {
			fmt.Fprintf(table, "%s/%s\t%.12s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", pod.Namespace, pod.Name, pod.Sandbox, one.Network,
				one.Interface, one.Device, one.PF, one.vf(), one.PCIAddress, one.State, one.Error)
		}
	}
	if err := table.Flush(); err != nil {
		panic("writing to memory: " + err.Error())
	}
	return text.String()
}

func (a attachmentView) vf() string {
	if a.PCIAddress == "" {
		return ""
	}
	return fmt.Sprint(a.VFID)
}

func newRelease() *cobra.Command {
	var runDir string
	cmd := &cobra.Command{
		Use: "release SANDBOX", Short: "Give back what a sandbox holds, when a person decides so",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("release needs one sandbox id, as nri-sriov pods -o json shows it")
			}
			return nil
		},
		RunE: work(func(cmd *cobra.Command, args []string) error {
			var done struct{}
			if err := newClient(runDir).do(cmd.Context(), "POST", "/v1/release/"+args[0], &done); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Sandbox %s is being released; nri-sriov inventory shows when its VFs are free.\n", args[0])
			return err
		}),
	}
	cmd.Flags().StringVar(&runDir, "run-dir", defaultRunDir, "the daemon's run folder")
	return cmd
}
