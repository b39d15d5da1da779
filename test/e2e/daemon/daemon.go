// Package daemon drives nri-sriov in a guest of the lab: the built binary, installed as an operator would, and its
// command line. It imports nothing of pkg: what it knows of the program is its contract.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// Places in the guest.
const (
	Binary     = "/usr/local/bin/nri-sriov"
	ConfigFile = "/etc/nri-sriov/config.yaml"
	Results    = "/run/nri-sriov/results"
)

// limit bounds what the daemon is waited for. It takes a second on an idle machine.
const limit = time.Minute

// Build builds the program for the guest, from the tree that the working folder belongs to, and gives its path. The tags
// are those of go build.
func Build(ctx context.Context, dir string, tags ...string) (string, error) {
	root, err := lab.ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "nri-sriov")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", strings.Join(tags, ","), "-o", path, "./cmd/nri-sriov")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nri-sriov: %w\n%s", err, output)
	}
	return path, nil
}

// Daemon is nri-sriov in a guest, run by systemd within the limits of its unit.
type Daemon struct {
	// Env is added to the environment of the next start.
	Env []string
	// Directives are more lines for the unit's section Service, from the next start on.
	Directives []string

	guest   *lab.Guest
	unit    string
	written string // the drop-in that systemd has read
	process *Process
}

// Install copies the program and its unit into the guest.
func Install(ctx context.Context, guest *lab.Guest, path string) (*Daemon, error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := guest.WriteFile(ctx, Binary, 0o755, binary); err != nil {
		return nil, fmt.Errorf("install nri-sriov: %w", err)
	}
	return installUnit(ctx, guest, Unit)
}

// Beside installs the same program a second time, by a unit of another name.
func (d *Daemon) Beside(ctx context.Context) (*Daemon, error) {
	return installUnit(ctx, d.guest, "second-"+Unit)
}

// Configure writes the node's config; the empty text removes it.
func (d *Daemon) Configure(ctx context.Context, text string) error {
	if text == "" {
		_, err := d.guest.Run(ctx, "rm", "-f", ConfigFile)
		return err
	}
	if _, err := d.guest.Run(ctx, "mkdir", "-p", filepath.Dir(ConfigFile)); err != nil {
		return err
	}
	return d.guest.WriteFile(ctx, ConfigFile, 0o644, []byte(text))
}

// Start starts the daemon and waits until it is ready: connected to the runtime and synchronised.
func (d *Daemon) Start(ctx context.Context, args ...string) error {
	if err := d.Launch(ctx, args...); err != nil {
		return err
	}
	return d.Ready(ctx)
}

// Launch starts the daemon and does not wait until it is ready.
func (d *Daemon) Launch(ctx context.Context, args ...string) error {
	if text := d.dropIn(args); text != d.written {
		if err := d.guest.WriteFile(ctx, d.dropInFile(), 0o644, []byte(text)); err != nil {
			return err
		}
		if _, err := d.guest.Run(ctx, "systemctl", "daemon-reload"); err != nil {
			return err
		}
		d.written = text
	}
	// There is no journal to look into: what systemd has against it, it says on the spot.
	start := fmt.Sprintf("systemctl start %[1]s || { systemctl status --no-pager %[1]s; exit 1; }", d.unit)
	if _, err := d.guest.Shell(ctx, start); err != nil {
		return err
	}
	process, err := launched(ctx, d.guest, d.unit)
	if err != nil {
		return err
	}
	d.process = process
	return nil
}

// Ready waits until /readyz says so.
func (d *Daemon) Ready(ctx context.Context) error {
	return lab.Eventually(ctx, limit, func(ctx context.Context) error {
		output, err := d.guest.Shell(ctx, "busybox wget -q -T 5 -O - http://127.0.0.1:9808/readyz")
		if err != nil && d.process != nil {
			if running, _ := d.process.Running(ctx); !running {
				return fmt.Errorf("the daemon has ended; see %s", d.process.Log())
			}
		}
		if err == nil && strings.TrimSpace(output.Stdout) != "ok" {
			err = fmt.Errorf("/readyz says %q", output.Stdout)
		}
		return err
	})
}

// Process is the daemon's process, of the last start.
func (d *Daemon) Process() *Process { return d.process }

// Stop ends the daemon as an operator does and answers its exit code.
func (d *Daemon) Stop(ctx context.Context) (int, error) {
	if _, err := d.guest.Run(ctx, "systemctl", "stop", d.unit); err != nil {
		return 0, err
	}
	return d.process.Wait(ctx, limit)
}

// Kill kills the daemon with SIGKILL and waits until it is gone.
func (d *Daemon) Kill(ctx context.Context) error {
	if err := d.process.Signal(ctx, syscall.SIGKILL); err != nil {
		return err
	}
	_, err := d.process.Wait(ctx, limit)
	return err
}

// CLI runs a subcommand. The output is valid with an *lab.ExitError too.
func (d *Daemon) CLI(ctx context.Context, args ...string) (lab.Output, error) {
	return d.guest.Run(ctx, append([]string{Binary}, args...)...)
}

// Tree is the contract's `inventory -o json`.
type Tree struct {
	Providers []struct {
		Name, Parent, Class, PF string
		Inventories             map[string]struct{ Total, Reserved, Used int }
		VFs                     []struct {
			ID                                                    int
			PCIAddress, Interface, Driver, State, Sandbox, Reason string
		}
	}
}

// Inventory asks for the tree.
func (d *Daemon) Inventory(ctx context.Context) (Tree, error) {
	var tree Tree
	err := d.ask(ctx, &tree, "inventory", "-o", "json")
	return tree, err
}

// Pods is the contract's `pods -o json`.
type Pods struct {
	Pods []struct {
		Sandbox, Namespace, Name, UID string
		Attachments                   []struct {
			Network, Interface, Device, PCIAddress, PF, State, Error string
			VFID                                                     int
			Result                                                   json.RawMessage
		}
	}
}

// Pods asks who has what.
func (d *Daemon) Pods(ctx context.Context) (Pods, error) {
	var pods Pods
	err := d.ask(ctx, &pods, "pods", "-o", "json")
	return pods, err
}

func (d *Daemon) ask(ctx context.Context, into any, args ...string) error {
	output, err := d.CLI(ctx, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(output.Stdout), into); err != nil {
		return fmt.Errorf("nri-sriov %s: %w in %s", strings.Join(args, " "), err, output.Stdout)
	}
	return nil
}

// AllFree waits until every VF is free by the daemon's word, but those of sandboxes that keep theirs, and answers how many
// are free.
func (d *Daemon) AllFree(ctx context.Context, but ...string) (int, error) {
	free := 0
	err := lab.Eventually(ctx, limit, func(ctx context.Context) error {
		tree, err := d.Inventory(ctx)
		if err != nil {
			return err
		}
		free = 0
		for _, provider := range tree.Providers {
			for _, one := range provider.VFs {
				if one.State == "attached" && slices.Contains(but, one.Sandbox) {
					continue
				}
				if one.State != "free" {
					return fmt.Errorf("VF %d of %s (%s) is %s %s %s", one.ID, provider.PF, one.PCIAddress, one.State, one.Sandbox, one.Reason)
				}
				free++
			}
		}
		if free == 0 {
			return errors.New("the inventory has no VF")
		}
		return nil
	})
	return free, err
}
