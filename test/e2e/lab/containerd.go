package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"syscall"
	"time"
)

// Places of containerd in the guest.
const (
	ContainerdSocket = "/run/containerd/containerd.sock"
	NRISocket        = "/var/run/nri/nri.sock"
	NRIPlugins       = "/opt/nri/plugins"
	NRIConfigs       = "/etc/nri/conf.d"
)

// containerdLimit is how long containerd may take to come up or go down; it
// takes some 3 s on an idle machine.
const containerdLimit = 2 * time.Minute

// ContainerdOptions is how a containerd differs from the usual one.
type ContainerdOptions struct {
	NRIDisabled bool
	// RequestTimeout is NRI's plugin_request_timeout; 0 is containerd's own
	// default (2 s).
	RequestTimeout time.Duration
	// Handlers are more runtime handlers; each runs runc.
	Handlers []string
	// Config is appended to the configuration file. That of containerd 1 has version 2, later ones' has version 3.
	Config string
	// Imports are patterns of more configuration files in the guest.
	Imports []string
	// Env is added to containerd's environment.
	Env []string
}

// Containerd is a containerd in a guest. One at a time runs in a guest.
type Containerd struct {
	guest   *Guest
	options ContainerdOptions
	root    string // its folders, which no other containerd has had
	state   string
	process *Process
	cri     *CRI
}

// StartContainerd starts a containerd with nothing in it, waits until it
// serves CRI, and gives it Image.
func (g *Guest) StartContainerd(ctx context.Context, options ContainerdOptions) (*Containerd, error) {
	n := g.containerds.Add(1)
	c := &Containerd{guest: g, options: options,
		root: fmt.Sprintf("/var/lib/containerd-%d", n), state: fmt.Sprintf("/run/containerd-%d", n),
	}
	for file, text := range map[string]string{
		c.ConfigFile():                   c.configuration(),
		"/etc/cni/net.d/10-lab.conflist": fmt.Sprintf(networkConfig, c.state+"/cni"),
	} {
		if err := g.WriteFile(ctx, file, 0o644, []byte(text)); err != nil {
			return nil, fmt.Errorf("start containerd: %w", err)
		}
	}
	if _, err := g.Run(ctx, "mkdir", "-p", NRIPlugins, NRIConfigs); err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	if _, err := g.Run(ctx, "ctr", "-n", "k8s.io", "images", "import", imageFile); err != nil {
		return nil, fmt.Errorf("start containerd: import the image: %w", err)
	}
	if err := c.cri.awaitImage(ctx, Image, containerdLimit); err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	return c, nil
}

// networkConfig gives each pod an eth0 that reaches the guest.
const networkConfig = `{
  "cniVersion": "1.0.0",
  "name": "lab",
  "plugins": [{
    "type": "ptp",
    "ipMasq": false,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "dataDir": %q}
  }]
}
`

// ConfigFile is its configuration in the guest.
func (c *Containerd) ConfigFile() string { return "/etc/containerd/" + path.Base(c.root) + ".toml" }

// CRI is the client of this containerd; it stays good when containerd restarts.
func (c *Containerd) CRI() *CRI { return c.cri }

// PID is containerd's process number in the guest.
func (c *Containerd) PID() int { return c.process.PID() }

// Log is the file in the guest that has what containerd says.
func (c *Containerd) Log() string { return c.process.Log() }

// launch starts the process and waits until it serves.
func (c *Containerd) launch(ctx context.Context) error {
	process, err := c.guest.Start(ctx, "containerd", c.options.Env, binDir+"/containerd", "--config", c.ConfigFile())
	if err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	c.process = process
	if c.cri == nil {
		if c.cri, err = NewCRI(c.guest, ContainerdSocket); err != nil {
			return fmt.Errorf("start containerd: %w", err)
		}
	}
	if err := c.cri.await(ctx, containerdLimit, process); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	return nil
}

// Restart ends containerd when it runs and starts it again with what it had;
// containers and their shims live on.
func (c *Containerd) Restart(ctx context.Context) error {
	if _, err := c.process.Stop(ctx, containerdLimit); err != nil {
		return fmt.Errorf("restart containerd: %w", err)
	}
	return c.launch(ctx)
}

// SetRequestTimeout restarts containerd with another patience towards plugins; see ContainerdOptions.
func (c *Containerd) SetRequestTimeout(ctx context.Context, timeout time.Duration) error {
	c.options.RequestTimeout = timeout
	if err := c.guest.WriteFile(ctx, c.ConfigFile(), 0o644, []byte(c.configuration())); err != nil {
		return fmt.Errorf("configure containerd: %w", err)
	}
	return c.Restart(ctx)
}

// Kill kills containerd alone; Restart starts it again.
func (c *Containerd) Kill(ctx context.Context) error {
	if _, err := c.process.Kill(ctx); err != nil {
		return fmt.Errorf("kill containerd: %w", err)
	}
	return nil
}

// Stop ends containerd and all that it started: its shims are known by their
// working folder, which is under its state, and containers are their children.
func (c *Containerd) Stop(ctx context.Context) error {
	_, err := c.process.Stop(ctx, containerdLimit)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.Join(err, c.process.Signal(ctx, syscall.SIGKILL))
	}
	_, leftovers := c.guest.run(ctx, shellCommand(removeLeftovers, c.state, c.root))
	if err := errors.Join(err, leftovers, c.cri.Close()); err != nil {
		return fmt.Errorf("stop containerd: %w", err)
	}
	return nil
}

// removeLeftovers ends the shims of the containerd whose folders are $1 (state)
// and $2 (root), and takes away the mounts and namespaces of its pods.
const removeLeftovers = `
for shim in $(pgrep -f containerd-shim-runc-v2 || true); do
	case "$(readlink /proc/$shim/cwd || true)" in
	$1/*) pkill -KILL -P $shim || true; kill -KILL $shim || true ;;
	esac
done
for mount in $(awk -v state="$1/" 'index($2, state) == 1 || $2 ~ "^/run/netns/cni-" {print $2}' /proc/mounts | sort -ru); do
	umount -l $mount || true
done
rm -rf /run/netns/cni-* $1 $2
`
