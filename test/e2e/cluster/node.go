package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// Places in a node.
const (
	kubernetesDir = "/etc/kubernetes"
	// StaticPods is the folder with manifests that the kubelet runs by itself.
	StaticPods = kubernetesDir + "/manifests"
	// KubeletDir is the kubelet's own folder, with its sockets.
	KubeletDir = "/var/lib/kubelet"
)

// nodeReadyLimit is how long a kubelet may take to be ready; it takes some 15 s on an idle machine.
const nodeReadyLimit = 4 * time.Minute

// Node is a guest that is a node of a cluster.
type Node struct {
	*lab.Guest
	Name       string
	Containerd *lab.Containerd

	kubelet *lab.Process
	port    int
}

// kubeletConfig is the kubelet's: its port comes first.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
port: %d
containerRuntimeEndpoint: unix://` + lab.ContainerdSocket + `
staticPodPath: ` + StaticPods + `
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: ` + kubernetesDir + `/ca.crt}
authorization: {mode: AlwaysAllow}
# As containerd's: runc makes the groups itself, beside those of systemd.
cgroupDriver: cgroupfs
# No packet filter: there is no iptables, and no Service to serve.
makeIPTablesUtilChains: false
failSwapOn: false
# A node with little memory and disk that are not to be saved.
evictionHard: {memory.available: 20Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%, imagefs.inodesFree: 1%%}
imageGCHighThresholdPercent: 100
maxPods: 40
# Changes are seen soon by who waits for them.
nodeStatusUpdateFrequency: 3s
syncFrequency: 10s
fileCheckFrequency: 3s
configMapAndSecretChangeDetectionStrategy: Watch
shutdownGracePeriod: 0s
`

// dropIns is the folder of containerd's configuration that its main file imports.
const dropIns = "/etc/containerd/conf.d"

// The lab's nodes are busy in the sense of docs/runtimes.md: two emulated ones share what CPUs there are.
const usualTimeout, patientTimeout = `plugin_request_timeout = "2s"`, `plugin_request_timeout = "5s"`

// requirePlugin gives the node the drop-in of configs/containerd, as its admin would: no container starts without nri-sriov.
func (n *Node) requirePlugin(ctx context.Context) error {
	root, err := lab.ModuleRoot(ctx)
	if err != nil {
		return err
	}
	const file = "nri-sriov.toml"
	text, err := os.ReadFile(filepath.Join(root, "configs", "containerd", file))
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(usualTimeout)) {
		return fmt.Errorf("%s does not say %s", file, usualTimeout)
	}
	text = bytes.Replace(text, []byte(usualTimeout), []byte(patientTimeout), 1)
	return n.WriteFile(ctx, filepath.Join(dropIns, file), 0o644, text)
}

// Join makes a guest with a containerd a node, and returns when it is Ready.
func (p *ControlPlane) Join(ctx context.Context, n *Node) error {
	if err := p.join(ctx, n); err != nil {
		return fmt.Errorf("make %s a node: %w", n.Name, err)
	}
	return nil
}

func (p *ControlPlane) join(ctx context.Context, n *Node) error {
	kubeconfig, err := p.kubeconfig(hostAddress, nodeUser(n.Name))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(p.file(caFile))
	if err != nil {
		return err
	}
	for file, text := range map[string]string{
		"kubeconfig": kubeconfig, "ca.crt": string(ca), "kubelet.yaml": fmt.Sprintf(kubeletConfig, n.port),
	} {
		if err := n.WriteFile(ctx, filepath.Join(kubernetesDir, file), 0o600, []byte(text)); err != nil {
			return err
		}
	}
	if _, err := n.Run(ctx, "mkdir", "-p", StaticPods); err != nil {
		return err
	}
	if err := p.serveService(ctx, n.Guest); err != nil {
		return err
	}
	if err := n.StartKubelet(ctx); err != nil {
		return err
	}
	return p.AwaitReady(ctx, n)
}

// Units that give the API server's Service its address in a node, and lead to the API server itself.
const (
	serviceSocket = `[Socket]
ListenStream=` + serviceAddress + `:443
FreeBind=yes
`
	serviceProxy = `[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd ` + hostAddress + `:%d
`
)

// serveService does for the API server's Service what kube-proxy would do.
func (p *ControlPlane) serveService(ctx context.Context, guest *lab.Guest) error {
	for suffix, text := range map[string]string{"socket": serviceSocket, "service": fmt.Sprintf(serviceProxy, p.port)} {
		if err := guest.WriteFile(ctx, "/etc/systemd/system/api-server."+suffix, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	_, err := guest.Shell(ctx, "ip addr replace "+serviceAddress+"/32 dev lo; systemctl daemon-reload; systemctl start api-server.socket")
	return err
}

// AwaitReady waits until the API server says that a node is Ready.
func (p *ControlPlane) AwaitReady(ctx context.Context, n *Node) error {
	return lab.Eventually(ctx, nodeReadyLimit, func(ctx context.Context) error {
		if running, err := n.kubelet.Running(ctx); err == nil && !running {
			said, err := n.Shell(ctx, "tail -n 15 "+n.kubelet.Log())
			return lab.GiveUp(errors.Join(fmt.Errorf("the kubelet has ended; it said last:\n%s", said.Stdout), err))
		}
		_, err := p.kubectl.Do(ctx, "wait", "--for=condition=Ready", "--timeout=5s", "node/"+n.Name)
		return err
	})
}

// StartKubelet starts the kubelet and does not wait for anything.
func (n *Node) StartKubelet(ctx context.Context) error {
	process, err := n.Start(ctx, "kubelet", nil, "/usr/local/bin/kubelet",
		"--config="+kubernetesDir+"/kubelet.yaml", "--kubeconfig="+kubernetesDir+"/kubeconfig",
		"--hostname-override="+n.Name, "--root-dir="+KubeletDir, "--v=2")
	if err != nil {
		return err
	}
	n.kubelet = process
	return nil
}

// StopKubelet ends the kubelet; pods live on.
func (n *Node) StopKubelet(ctx context.Context) error {
	_, err := n.kubelet.Stop(ctx, time.Minute)
	return err
}
