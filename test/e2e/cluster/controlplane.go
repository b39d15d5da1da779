package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// readyLimit is how long the API server may take to be ready; it takes 4 s on an idle machine.
const readyLimit = 3 * time.Minute

// ControlPlane is everything of a cluster but its nodes.
type ControlPlane struct {
	programs string // the folder with the programs
	dir      string // files of this cluster, and logs
	port     int    // of the API server
	etcd     string // its URL for clients
	tokens   tokens
	egress   *egress

	components []*component
	apiServer  *component
	kubectl    *Kubectl
}

// StartControlPlane starts a control plane that knows nodes of these names, and returns when it serves. Its files and logs
// are below dir.
func StartControlPlane(ctx context.Context, programs, dir string, nodes ...string) (_ *ControlPlane, err error) {
	p := &ControlPlane{programs: programs, dir: dir}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start a control plane (logs: %s): %w", dir, errors.Join(err, p.Close()))
		}
	}()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := writeCertificates(dir); err != nil {
		return nil, err
	}
	if p.tokens, err = writeTokens(filepath.Join(dir, "tokens.csv"), nodes); err != nil {
		return nil, err
	}
	if p.port, err = lab.FreePort(); err != nil {
		return nil, err
	}
	if p.egress, err = serveEgress(dir); err != nil {
		return nil, err
	}
	file, err := p.writeKubeconfig("admin.kubeconfig", admin)
	if err != nil {
		return nil, err
	}
	p.kubectl = &Kubectl{Program: filepath.Join(programs, "kubectl"), Kubeconfig: file}
	if err := p.startEtcd(); err != nil {
		return nil, err
	}
	if err := p.StartAPIServer(ctx); err != nil {
		return nil, err
	}
	if err := p.startControllers(); err != nil {
		return nil, err
	}
	// Without it, the API server refuses pods.
	return p, lab.Eventually(ctx, readyLimit, func(ctx context.Context) error {
		_, err := p.kubectl.Do(ctx, "get", "serviceaccount", "default")
		return errors.Join(err, p.running())
	})
}

// Kubectl is a kubectl with every right.
func (p *ControlPlane) Kubectl() *Kubectl { return p.kubectl }

// Logs are the files with what its components said.
func (p *ControlPlane) Logs() []string {
	files, _ := filepath.Glob(p.file("*.log")) // the pattern is right
	return files
}

func (p *ControlPlane) file(name string) string { return filepath.Join(p.dir, name) }

func (p *ControlPlane) launch(name string, args ...string) (*component, error) {
	c, err := launch(p.dir, filepath.Join(p.programs, name), args...)
	if err == nil {
		p.components = append(p.components, c)
	}
	return c, err
}

func (p *ControlPlane) startEtcd() error {
	ports := [2]int{}
	for i := range ports {
		var err error
		if ports[i], err = lab.FreePort(); err != nil {
			return err
		}
	}
	p.etcd = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	peers := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	_, err := p.launch("etcd",
		"--data-dir="+p.file("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+p.etcd, "--advertise-client-urls="+p.etcd,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers)
	return err
}

// StartAPIServer starts the API server, at the same port each time, and waits until it serves.
func (p *ControlPlane) StartAPIServer(ctx context.Context) (err error) {
	p.apiServer, err = p.launch("kube-apiserver",
		"--etcd-servers="+p.etcd,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", p.port),
		// Guests have the host at another address than it has itself, so it is told of no one.
		"--endpoint-reconciler-type=none", "--advertise-address="+hostAddress,
		"--tls-cert-file="+p.file(serverFile+".crt"), "--tls-private-key-file="+p.file(serverFile+".key"),
		"--client-ca-file="+p.file(caFile), "--token-auth-file="+p.file("tokens.csv"),
		"--kubelet-client-certificate="+p.file(kubeletClientFile+".crt"), "--kubelet-client-key="+p.file(kubeletClientFile+".key"),
		"--egress-selector-config-file="+egressFile(p.dir),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+p.file(serviceAccountFile+".pub"), "--service-account-signing-key-file="+p.file(serviceAccountFile+".key"),
		"--service-cluster-ip-range="+serviceSubnet,
		"--shutdown-delay-duration=0s", "--profiling=false",
	)
	if err != nil {
		return err
	}
	return lab.Eventually(ctx, readyLimit, func(ctx context.Context) error {
		if err := p.running(); err != nil {
			return lab.GiveUp(err)
		}
		_, err := p.kubectl.Do(ctx, "get", "--raw", "/readyz")
		return err
	})
}

// StopAPIServer takes the API server away from everybody.
func (p *ControlPlane) StopAPIServer() error {
	err := p.apiServer.stop()
	for i, c := range p.components {
		if c == p.apiServer {
			p.components = append(p.components[:i], p.components[i+1:]...)
			break
		}
	}
	return err
}

// FreezeAPIServer has the API server take connections and answer none, until it is thawed.
func (p *ControlPlane) FreezeAPIServer() error { return p.apiServer.signal(syscall.SIGSTOP) }

// ThawAPIServer has it go on.
func (p *ControlPlane) ThawAPIServer() error { return p.apiServer.signal(syscall.SIGCONT) }

func (p *ControlPlane) startControllers() error {
	managers, err := p.writeKubeconfig("controller-manager.kubeconfig", manager)
	if err != nil {
		return err
	}
	schedulers, err := p.writeKubeconfig("scheduler.kubeconfig", scheduler)
	if err != nil {
		return err
	}
	if _, err := p.launch("kube-controller-manager",
		"--kubeconfig="+managers, "--use-service-account-credentials=true", "--leader-elect=false", "--secure-port=0",
		"--service-account-private-key-file="+p.file(serviceAccountFile+".key"), "--root-ca-file="+p.file(caFile),
		// An emulated node on a busy machine may be late, and is not to lose its pods for it.
		"--node-monitor-grace-period=2m",
	); err != nil {
		return err
	}
	_, err = p.launch("kube-scheduler", "--kubeconfig="+schedulers, "--leader-elect=false", "--secure-port=0")
	return err
}

// running is an error when a component has ended by itself.
func (p *ControlPlane) running() error {
	for _, c := range p.components {
		if err := c.running(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the control plane: those first that ask the others. It may be called again.
func (p *ControlPlane) Close() error {
	var err error
	for i := len(p.components) - 1; i >= 0; i-- {
		err = errors.Join(err, p.components[i].stop())
	}
	p.components = nil
	if p.egress != nil {
		err = errors.Join(err, p.egress.Close())
		p.egress = nil
	}
	return err
}
