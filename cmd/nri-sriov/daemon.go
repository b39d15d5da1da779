package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/kubelet"
	"github.com/nri-sriov/nri-sriov/pkg/kube/report"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const (
	sweepEvery     = 5 * time.Second
	firstReconnect = 10 * time.Millisecond
	maxReconnect   = 10 * time.Second
	createVFsTime  = 5 * time.Minute
	// stopTime is less than the unit's TimeoutStopSec, after which systemd kills.
	stopTime = 40 * time.Second
)

// daemon is the wiring of `nri-sriov run`.
type daemon struct {
	flags  runFlags
	log    *logrus.Logger
	plugin *hooks.Plugin
	// failed gets the error that ends the daemon.
	failed chan error

	lock    *nodeLock
	trouble *trouble
	storage storage
	socket  *socket
	host    *vf.Host
	dpdk    *dpdk.Host
	// meters count what happens; reporter tells the API server of it, nil outside of a cluster.
	meters   *meters
	reporter *report.Reporter
	// node is the config in force; configText is what reload compares its file with, and reloads tells whether it has one.
	node       atomic.Pointer[config.Node]
	configText []byte
	reloads    bool
	// read reads the node as the config offers it.
	read func() ([]*inventory.Provider, []string, error)
	pool *inventory.Pool
	// owners is the pool, for those who ask before it is there.
	owners atomic.Pointer[inventory.Pool]
	// connected tells whether there is a connection to the runtime.
	connected atomic.Bool
	// serving tells whether the plugin has its node.
	serving  atomic.Bool
	attacher *attach.Attacher
	drift    *drift
	// kubelet is nil outside Kubernetes.
	kubelet *kubelet.Kubelet
	cancel  context.CancelFunc
	// background is what goes on until cancel.
	background sync.WaitGroup
	servers    []func()
	// tending and drifting are closed when tend and the look at drift have ended; nil before they begin. A disk may hang, and so
	// may a driver.
	tending, drifting chan struct{}
}

// start makes the node ready and gives it to the plugin, or says why not. It may take minutes, where VFs are to be created.
func (d *daemon) start(ctx context.Context, node *config.Node) error {
	err := d.open(ctx, node)
	if err != nil {
		d.lastWords(ctx, err)
	}
	return err
}

func (d *daemon) open(ctx context.Context, node *config.Node) (err error) {
	ctx, d.cancel = context.WithCancel(ctx)
	d.trouble = newTrouble(d.log)
	d.node.Store(node)
	d.openReporter()
	d.observe()
	d.lock = newNodeLock(d.flags.runDir, d.flags.stateDir, d.trouble)
	if err := d.lock.take(ctx, d.log); err != nil {
		return err
	}
	d.tellAPIServer(ctx) // from here on the node is this daemon's, and what follows may take minutes
	if d.host, err = vf.OpenHost(d.flags.sysfs); err != nil {
		return err
	}
	if d.dpdk, err = dpdk.Open(d.flags.sysfs, "/dev"); err != nil {
		return err
	}
	d.loadModules(ctx, node)
	if err := d.createVFs(ctx, node); err != nil {
		return refusedConfig{err}
	}
	records, loaded, err := d.openJournal(d.flags.stateDir)
	if err != nil {
		return err
	}
	copies, copied, err := d.openJournal(d.flags.runDir)
	if err != nil {
		return err
	}
	loaded = attach.Merge(loaded, copied)
	d.storage = storage{records, copies}
	d.read = func() ([]*inventory.Provider, []string, error) {
		bound, err := attach.ReadBound(d.flags.runDir)
		d.trouble.say("bound functions", err)
		return inventory.Read(d.host, d.node.Load(), inventory.Remembered{WholePFs: attach.WholePFs(loaded), Bound: bound})
	}
	watch, err := d.host.Watch(ctx, d.busy) // first, so that nothing is missed that changes while the node is read
	if err != nil {
		return err
	}
	providers, missing, err := d.read()
	if err != nil {
		return err
	}
	for _, name := range missing {
		d.log.WithField("pf", name).Error("the config offers a PF that this node does not have, or that has no SR-IOV")
	}
	d.pool = inventory.NewPool(providers)
	d.owners.Store(d.pool)
	d.pool.Name(node.Traits())
	d.pool.Pack(node.Pack)
	for _, one := range providers {
		if one.Reason != "" {
			d.log.WithField("pf", one.PF.Name()).Warn("PF is not offered: it " + one.Reason)
		}
	}
	results, bound := d.openRunFolder()
	hugepages := d.openHugepages(node.Hugepages)
	ends := d.watchEnds()
	devices := attach.Devices{Netdev: attach.Netdev{Host: d.host}, DPDK: d.dpdk, Bound: bound}
	addressing := attach.Addressing{IPAM: cni.NewIPAM(cni.DefaultPluginDirs())}
	d.attacher = attach.New(ctx, attach.Options{
		Pool: d.pool, Journal: records, Copies: copies, Hugepages: hugepages, Results: results, Device: devices,
		Address: addressing, Announce: addressing,
		Settings: d.host.Settings, Open: vf.OpenNamespace,
		Reread: func(pf vf.PCIAddress) (*inventory.Provider, error) {
			providers, _, err := d.read()
			for _, one := range providers {
				if one.PF.Address == pf {
					return one, nil
				}
			}
			return nil, errors.Join(err, fmt.Errorf("%s: %w", pf, attach.ErrGone))
		},
		Follow: ends.add,
		Host:   d.host.Namespace().Inode(), Times: attach.DefaultTimes(), Log: d.log, Observer: d.observer(),
	})
	d.attacher.Recover(loaded)
	d.drift = &drift{attacher: d.attacher}
	kubelet, err := d.openKubelet(node)
	if err != nil {
		return err
	}
	d.serve() // of all that is open by now
	d.background.Go(func() { d.sweep(ctx) })
	d.tending, d.drifting = make(chan struct{}), make(chan struct{})
	go d.tend(ctx)
	go func() {
		defer close(d.drifting)
		d.drift.follow(ctx)
	}()
	d.background.Go(func() { d.follow(ctx, watch) })
	d.background.Go(func() { ends.tell(ctx, d.attacher) })
	if d.kubelet != nil {
		d.background.Go(func() { d.kubelet.Run(ctx) })
	}
	d.plugin.Start(&hooks.Node{
		Config: node, Attacher: d.attacher, Results: results, Hugepages: hugepages, Kubelet: kubelet,
		NUMANodes: d.numaNodes,
		Given:     func(a attach.Attachment) (attach.Given, error) { return attach.NodesOf(d.dpdk, a) },
	})
	d.serving.Store(true)
	if d.reloads { // last: it hands a changed config to all of the above
		d.background.Go(func() { d.reload(ctx) })
	}
	return nil
}

// stop ends the work: what has begun in the kernel is finished, the rest is in the journal.
func (d *daemon) stop() {
	if d.cancel != nil {
		d.cancel()
	}
	for _, stop := range d.servers {
		stop()
	}
	if d.socket != nil {
		d.socket.close()
	}
	d.background.Wait()
	hanging := !ended(d.tending)
	if d.attacher != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := d.attacher.Wait(ctx); err != nil {
			d.log.WithError(err).Error("nri-sriov ends in the midst of its work")
			return // what it works with stays open
		}
	}
	if !ended(d.drifting) {
		d.log.Error("nri-sriov ends while a driver does not say how its VFs are")
		return // the same
	}
	if d.host != nil {
		if err := d.host.Close(); err != nil {
			d.log.WithError(err).Warn("close the host")
		}
	}
	if d.dpdk != nil {
		if err := d.dpdk.Close(); err != nil {
			d.log.WithError(err).Warn("close the host's devices")
		}
	}
	if d.lock != nil && !hanging {
		d.lock.close()
	}
	d.log.Info("nri-sriov ends")
}

// numaNodes are those of a cpuset; none where it makes no sense.
func (d *daemon) numaNodes(cpus string) []int {
	nodes, err := d.host.NUMANodes(cpus)
	if err != nil {
		d.log.WithError(err).Debug("the pod's CPUs do not tell its NUMA nodes")
	}
	return nodes
}

// createVFs creates the VFs that the config asks for, on PFs that have none.
func (d *daemon) createVFs(ctx context.Context, node *config.Node) error {
	pfs, err := d.host.PFs()
	if err != nil {
		return err
	}
	for _, pf := range pfs {
		for i := range node.Providers {
			want := &node.Providers[i]
			if want.NumVFs == 0 || pf.NumVFs != 0 || !inventory.Names(want, pf) {
				continue
			}
			if want.NumVFs > pf.TotalVFs {
				return fmt.Errorf("provider %s: numVFs is %d, but the device can have %d", want.Name(), want.NumVFs, pf.TotalVFs)
			}
			log := d.log.WithFields(logrus.Fields{"pf": pf.Name(), "numVFs": want.NumVFs})
			log.Info("creating VFs")
			ctx, cancel := context.WithTimeout(ctx, createVFsTime)
			err := d.host.CreateVFs(ctx, pf, want.NumVFs, want.Driver != "")
			cancel()
			if err != nil {
				return err
			}
			log.Info("VFs created")
		}
	}
	return nil
}

func (d *daemon) sweep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
			d.attacher.Sweep()
		}
	}
}
