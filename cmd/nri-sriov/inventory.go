package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// nodeFlags say where the node's config and state are, for subcommands that work without the daemon.
type nodeFlags struct {
	config, stateDir, runDir, sysfs string
}

func (f *nodeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", configHere(), "the node's config")
	cmd.Flags().StringVar(&f.stateDir, "state-dir", defaultStateDir, "the daemon's state folder")
	cmd.Flags().StringVar(&f.runDir, "run-dir", defaultRunDir, "the daemon's run folder")
	cmd.Flags().StringVar(&f.sysfs, "sysfs", "/sys", "where sysfs is mounted")
}

func newInventory() *cobra.Command {
	var output outputFlag
	var flags nodeFlags
	cmd := &cobra.Command{
		Use: "inventory", Short: "The node as a tree: host, NUMA node, PF, VF", Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			var tree inventory.Tree
			err := newClient(flags.runDir).do(cmd.Context(), "GET", "/v1/inventory", &tree)
			if errors.Is(err, errNoDaemon) {
				tree, err = readTree(flags)
			}
			if err != nil {
				return err
			}
			return output.print(cmd.OutOrStdout(), tree, func() string { return drawTree(tree) })
		}),
	}
	output.add(cmd, "tree", "json", "yaml")
	flags.add(cmd)
	return cmd
}

// readTree reads the node itself, and what pods have by the journal, as far as this user may read it.
func readTree(flags nodeFlags) (inventory.Tree, error) {
	node, err := config.Load(flags.config)
	if err != nil {
		return inventory.Tree{}, err
	}
	host, err := vf.OpenHost(flags.sysfs)
	if err != nil {
		return inventory.Tree{}, err
	}
	defer host.Close()
	records, err := remembering(flags.stateDir, flags.runDir)
	if err != nil {
		return inventory.Tree{}, err
	}
	providers, _, err := inventory.Read(host, node, remembered(flags.stateDir, flags.runDir))
	if err != nil {
		return inventory.Tree{}, err
	}
	pool := inventory.NewPool(providers)
	attach.Show(pool, records)
	return treeOf(pool), nil
}

// remembering reads the records of what pods have, as far as this user may.
func remembering(stateDir, runDir string) ([]journal.Record, error) {
	records, err := journal.Read(stateDir)
	copies, copiesErr := journal.Read(runDir)
	for _, err := range []error{err, copiesErr} {
		if err != nil && !errors.Is(err, os.ErrPermission) {
			return nil, err
		}
	}
	return attach.Merge(records, copies), nil
}

// remembered is what the daemon has written down, as far as this user may read it.
func remembered(stateDir, runDir string) inventory.Remembered {
	records, err := remembering(stateDir, runDir)
	bound, boundErr := attach.ReadBound(runDir)
	if err != nil || boundErr != nil {
		return inventory.Remembered{}
	}
	return inventory.Remembered{WholePFs: attach.WholePFs(records), Bound: bound}
}

func drawTree(tree inventory.Tree) string {
	if len(tree.Providers) <= 1 {
		return "This machine has no NIC with SR-IOV (no PCI device in sysfs has sriov_totalvfs).\n" +
			"That is fine for a look around; for real VFs without the hardware, see `make demo` in the source.\n"
	}
	var text strings.Builder
	drawNode(&text, tree, tree.Providers[0], "")
	return text.String()
}

func drawNode(text *strings.Builder, tree inventory.Tree, node inventory.Node, indent string) {
	fmt.Fprintf(text, "%s%s %s%s\n", indent, node.Class, node.Name, describe(node))
	for _, one := range node.VFs {
		fmt.Fprintf(text, "%s  vf %d %s", indent, one.ID, one.PCIAddress)
		for _, part := range []string{one.Interface, one.Driver, string(one.State), short(one.Sandbox)} {
			if part != "" {
				text.WriteString(" " + part)
			}
		}
		if one.Reason != "" {
			text.WriteString(": " + one.Reason)
		}
		text.WriteString("\n")
	}
	for _, child := range tree.Providers {
		if child.Parent == node.Name && child.Class != "host" {
			drawNode(text, tree, child, indent+"  ")
		}
	}
}

func describe(node inventory.Node) string {
	if node.Class != "pf" {
		return ""
	}
	stock := node.Inventories[inventory.ClassVF]
	text := fmt.Sprintf(" %s: %s %d of %d used", node.PCIAddress, inventory.ClassVF, stock.Used, stock.Total)
	if stock.Reserved > 0 {
		text += fmt.Sprintf(", %d reserved", stock.Reserved)
	}
	if whole, offered := node.Inventories[inventory.ClassPF]; offered {
		text += fmt.Sprintf("; %s %d of %d used", inventory.ClassPF, whole.Used, whole.Total)
	}
	if node.Reason != "" {
		text += "; not offered: it " + node.Reason
	}
	return text + " [" + strings.Join(node.Traits, " ") + "]"
}

func short(sandbox string) string {
	if len(sandbox) > 12 {
		return sandbox[:12]
	}
	return sandbox
}
