package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

const (
	// Namespace is the one that the manifests make.
	Namespace = "nri-sriov"
	daemonSet = "daemonset/nri-sriov"
	// archive is what `make image` makes.
	archive = "bin/nri-sriov.oci.tar"
	// rolloutLimit is how long the daemon may take to be ready on all nodes.
	rolloutLimit = 5 * time.Minute
)

// nodeModules are those that a node's admin has loaded at boot.
var nodeModules = []string{"vfio-pci", "vhost_net", "tun"}

// BuildImage makes the image as a user does, in the tree that the working folder belongs to, and gives its file.
func BuildImage(ctx context.Context) (string, error) {
	root, err := lab.ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "make", "--directory="+root, "image")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make image: %w\n%s", err, output)
	}
	return filepath.Join(root, archive), nil
}

// StartInstalled builds the image and starts a cluster of two nodes on which nri-sriov is installed with a config. See Start.
func StartInstalled(ctx context.Context, config, logs string, progress io.Writer) (*Cluster, *lab.Kubernetes, error) {
	kubernetes, err := lab.PrepareKubernetes(ctx, progress)
	if err != nil {
		return nil, nil, err
	}
	image, err := BuildImage(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, err := Start(ctx, kubernetes, logs, progress, lab.Options{HugePages: 2 * testpmd.Pages}, "node-1", "node-2")
	if err != nil {
		return nil, nil, err
	}
	if err = c.Import(ctx, image); err == nil {
		err = c.Kubectl().Install(ctx, config)
	}
	if err != nil {
		return nil, nil, errors.Join(err, c.Collect(context.WithoutCancel(ctx)), c.Close())
	}
	return c, kubernetes, nil
}

// Import gives every node the image of the daemon.
func (c *Cluster) Import(ctx context.Context, image string) error {
	const place = "/var/lib/nri-sriov.oci.tar"
	for _, n := range c.Nodes {
		if err := n.CopyFile(ctx, image, place); err != nil {
			return err
		}
		if _, err := n.Run(ctx, "ctr", "-n", "k8s.io", "images", "import", place); err != nil {
			return fmt.Errorf("import the image on node %s: %w", n.Name, err)
		}
		if err := n.LoadModules(ctx, nodeModules...); err != nil {
			return err
		}
	}
	return nil
}

// Install applies configs/kubernetes with a config for all nodes and the log that tests read, and waits until the daemon is
// ready everywhere.
func (k *Kubectl) Install(ctx context.Context, config string) error {
	dir, err := os.MkdirTemp("", "nri-sriov-install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeOverlay(ctx, dir, config); err != nil {
		return err
	}
	if _, err := k.Do(ctx, "apply", "-k", dir); err != nil {
		return err
	}
	return k.Rollout(ctx)
}

// writeOverlay writes what a user would to have a config of his own.
func writeOverlay(ctx context.Context, dir, config string) error {
	root, err := lab.ModuleRoot(ctx)
	if err != nil {
		return err
	}
	base, err := filepath.Rel(dir, filepath.Join(root, "configs", "kubernetes"))
	if err != nil {
		return err
	}
	kustomization, err := json.Marshal(object{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": []string{base},
		"patches": []object{
			{"path": "config.json"},
			{
				"target": object{"kind": "DaemonSet", "name": Namespace},
				"patch":  `[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--log-level=debug"}]`,
			},
		},
	})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "config.json"), configMap(config), 0o644),
		os.WriteFile(filepath.Join(dir, "kustomization.yaml"), kustomization, 0o644),
	)
}

// configMap is the nodes' config as kubectl takes it.
func configMap(config string) []byte {
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": Namespace, "namespace": Namespace},
		"data": object{"config.yaml": config},
	})
	if err != nil {
		panic(err) // maps and strings
	}
	return text
}

// Configure changes the config of all nodes, which reaches them a little later.
func (k *Kubectl) Configure(ctx context.Context, config string) error {
	return k.Apply(ctx, string(configMap(config)))
}

// Rollout waits until the daemon that the DaemonSet says runs and is ready everywhere.
func (k *Kubectl) Rollout(ctx context.Context) error {
	_, err := k.Do(ctx, "--namespace", Namespace, "rollout", "status", daemonSet, "--timeout="+rolloutLimit.String())
	if err == nil {
		return nil
	}
	said, _ := k.Do(ctx, "--namespace", Namespace, "describe", "pods")
	log, _ := k.Do(ctx, "--namespace", Namespace, "logs", daemonSet, "--tail=20")
	return fmt.Errorf("%w\n%s\n%s", err, said, log)
}

// Daemon is the pod of the daemon on a node.
func (k *Kubectl) Daemon(ctx context.Context, node string) (string, error) {
	name, err := k.Do(ctx, "--namespace", Namespace, "get", "pods", "--field-selector", "spec.nodeName="+node+",status.phase=Running",
		"-o", "jsonpath={.items[*].metadata.name}")
	if err == nil && len(strings.Fields(name)) != 1 {
		err = fmt.Errorf("node %s has not one daemon but %q", node, name)
	}
	return strings.TrimSpace(name), err
}

// CLI runs a subcommand of the program in the daemon's pod on a node.
func (k *Kubectl) CLI(ctx context.Context, node string, args ...string) (string, error) {
	pod, err := k.Daemon(ctx, node)
	if err != nil {
		return "", err
	}
	return k.Exec(ctx, Namespace, pod, append([]string{"nri-sriov"}, args...)...)
}

// VF is one of a node's, as `nri-sriov inventory -o json` tells.
type VF struct {
	ID                                                        int
	PF, PCIAddress, Interface, Driver, State, Sandbox, Reason string
}

// VFs are those of a node.
func (k *Kubectl) VFs(ctx context.Context, node string) ([]VF, error) {
	text, err := k.CLI(ctx, node, "inventory", "-o", "json")
	if err != nil {
		return nil, err
	}
	var tree struct {
		Providers []struct {
			PF  string
			VFs []VF
		}
	}
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return nil, fmt.Errorf("read the inventory of node %s: %w in %s", node, err, text)
	}
	var all []VF
	for _, provider := range tree.Providers {
		for _, vf := range provider.VFs {
			vf.PF = provider.PF
			all = append(all, vf)
		}
	}
	return all, nil
}

// AwaitFree waits until every offered VF of a node is free.
func (k *Kubectl) AwaitFree(ctx context.Context, limit time.Duration, node string) error {
	err := lab.Eventually(ctx, limit, func(ctx context.Context) error {
		vfs, err := k.VFs(ctx, node)
		if err == nil && len(vfs) == 0 {
			err = errors.New("there is no VF")
		}
		for _, vf := range vfs {
			if vf.State != "free" && vf.State != "excluded" {
				err = errors.Join(err, fmt.Errorf("VF %d of %s (%s) is %s %s %s", vf.ID, vf.PF, vf.PCIAddress, vf.State, vf.Sandbox, vf.Reason))
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for the VFs of node %s: %w", node, err)
	}
	return nil
}
