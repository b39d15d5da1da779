package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// Cluster is a control plane with its nodes.
type Cluster struct {
	*ControlPlane
	Nodes []*Node

	dir  string
	logs string
}

// wire is the name of what joins the PFs of all nodes.
const wire = "wire"

// Start prepares, boots as many guests as there are names, with their PFs on one wire, and makes them nodes of one
// cluster. Options are those of each guest; Trunks, Forward, State and Logs are the cluster's own. The logs are below
// logs; what a cluster is told of on the way goes to progress.
func Start(ctx context.Context, kubernetes *lab.Kubernetes, logs string, progress io.Writer, options lab.Options, names ...string) (_ *Cluster, err error) {
	if len(names) > 2 {
		return nil, fmt.Errorf("start a cluster of %d nodes: a wire has two ends", len(names))
	}
	dir, err := os.MkdirTemp("", "nri-sriov-cluster-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, logs: logs}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Collect(context.WithoutCancel(ctx)), c.Close())
		}
	}()
	machines, err := c.options(options, names)
	if err != nil {
		return nil, err
	}
	c.ControlPlane, err = StartControlPlane(ctx, kubernetes.Dir, filepath.Join(dir, "control-plane"), names...)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "lab: a control plane of Kubernetes %s serves\n", kubernetes.Version)
	c.Nodes = make([]*Node, len(names))
	var together sync.WaitGroup
	failures := make([]error, len(names))
	for i, name := range names {
		together.Go(func() {
			c.Nodes[i], failures[i] = c.node(ctx, kubernetes.Assets, name, machines[i])
			if failures[i] == nil {
				fmt.Fprintf(progress, "lab: node %s is Ready\n", name)
			}
		})
	}
	together.Wait()
	return c, errors.Join(failures...)
}

// options gives each node its end of the wire, a disk, and a port for its kubelet.
func (c *Cluster) options(options lab.Options, names []string) ([]lab.Options, error) {
	ends := [2]int{}
	for i := range ends {
		// Freed together, so that they differ.
		port, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, fmt.Errorf("find a free port for the wire: %w", err)
		}
		defer port.Close()
		ends[i] = port.LocalAddr().(*net.UDPAddr).Port
	}
	if options.NICs == nil {
		options.NICs = []lab.NIC{{Name: "pf0", Wire: wire}, {Name: "pf1", Wire: wire}}
	}
	var all []lab.Options
	for i, name := range names {
		port, err := lab.FreePort()
		if err != nil {
			return nil, err
		}
		each := options
		each.Forward = []int{port}
		each.State = filepath.Join(c.dir, name+".ext4")
		each.Logs = filepath.Join(c.logs, name)
		if len(names) > 1 {
			each.Trunks = []lab.Trunk{{Wire: options.NICs[0].Wire, LocalPort: ends[i], RemotePort: ends[1-i]}}
		}
		all = append(all, each)
	}
	return all, nil
}

func (c *Cluster) node(ctx context.Context, assets *lab.Assets, name string, options lab.Options) (*Node, error) {
	guest, err := lab.Boot(ctx, assets, options)
	if err != nil {
		return nil, fmt.Errorf("start node %s: %w", name, err)
	}
	n := &Node{Guest: guest, Name: name, port: options.Forward[0]}
	if err := n.requirePlugin(ctx); err != nil {
		return n, fmt.Errorf("start node %s: %w", name, err)
	}
	if n.Containerd, err = guest.StartContainerd(ctx, lab.ContainerdOptions{Imports: []string{dropIns + "/*.toml"}}); err != nil {
		return n, fmt.Errorf("start node %s: %w", name, err)
	}
	return n, c.Join(ctx, n)
}

// Collect copies the logs of all parts to the cluster's folder for logs, for whoever looks for what went wrong.
func (c *Cluster) Collect(ctx context.Context) error {
	var err error
	for _, n := range c.Nodes {
		if n == nil {
			continue
		}
		err = errors.Join(err, n.Guest.Collect(ctx, n.Logs(), "/var/log", "/etc/containerd", "/etc/kubernetes/kubelet.yaml", "/run/nri-sriov", "/var/lib/nri-sriov"))
		if text, failed := n.Dmesg(ctx); failed == nil {
			err = errors.Join(err, os.WriteFile(filepath.Join(n.Logs(), "dmesg.log"), []byte(text), 0o644))
		}
	}
	if c.ControlPlane == nil {
		return err
	}
	for _, file := range c.ControlPlane.Logs() {
		text, failed := os.ReadFile(file)
		if failed == nil {
			failed = os.WriteFile(filepath.Join(c.logs, filepath.Base(file)), text, 0o644)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// Close ends the nodes and the control plane.
func (c *Cluster) Close() error {
	var err error
	for _, n := range c.Nodes {
		if n != nil {
			err = errors.Join(err, n.Guest.Close())
		}
	}
	if c.ControlPlane != nil {
		err = errors.Join(err, c.ControlPlane.Close())
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}
