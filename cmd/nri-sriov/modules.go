package main

import (
	"context"
	"slices"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const loadModuleTime = 10 * time.Second

// loadModules has the kernel load the drivers that the config's devices need. Where it cannot, pods that need one are told
// so; all others are served.
func (d *daemon) loadModules(ctx context.Context, node *config.Node) {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i := range node.Providers {
		add(node.Providers[i].Driver)
	}
	vfio := false
	for i := range node.Networks {
		if node.Networks[i].Device == config.DeviceVFIO {
			vfio = true
			add("vfio-pci")
		}
		if node.Networks[i].VhostNet {
			add("vhost_net")
			add("tun")
		}
	}
	for _, name := range names {
		if present, _, _ := d.dpdk.CheckDriver(name); present {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, loadModuleTime)
		if err := d.dpdk.LoadModule(ctx, name); err != nil {
			d.log.WithError(err).Warn("a module that the config needs could not be loaded by the daemon: name it in a file in /etc/modules-load.d, so that it is at boot; pods that need it are refused until it is there")
		}
		cancel()
	}
	if vfio && !vf.SeesProcesses() {
		d.log.Warn("the host's processes cannot be seen: what holds a device open will have no name; run in the host's PID namespace")
	}
}

// openHugepages opens the host's hugetlbfs. Without one, containers get none from us, and may bring their own or do with
// anonymous pages.
func (d *daemon) openHugepages(mount string) *attach.Hugepages {
	if mount == "" {
		return nil
	}
	hugepages, err := attach.OpenHugepages(mount)
	if err != nil {
		d.log.WithError(err).Warn("containers get no huge pages of the config's hugepages")
		return nil
	}
	return hugepages
}
