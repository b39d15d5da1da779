package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/events"
	"github.com/nri-sriov/nri-sriov/pkg/kube/report"
)

// source is where the config is.
func (f *runFlags) source() config.Source {
	return config.Source{Path: f.config, Node: f.kubernetes.NodeName}
}

// errNoConfig says that the file is gone. What was read from it stays in force: to offer everything, as without a file from
// the start, is not what somebody wants who is about to replace it.
var errNoConfig = errors.New("there is no config file any more")

// What the node could not be made able to serve it may be later, without a change of the file: a driver that was missing comes,
// or a PF that was busy. It is tried again after firstRetake, ever less often, up to maxRetake.
const (
	firstRetake = time.Second
	maxRetake   = time.Minute
)

// taken is what became of the config file at the last look.
type taken struct {
	// text is what it said.
	text []byte
	// err is why the node cannot serve it; nil when it does, and when the file is not valid, which only a change mends.
	err error
}

// reload reads the config again whenever it may have changed, or on SIGHUP, until ctx ends.
func (d *daemon) reload(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	changed, err := d.flags.source().Watch(ctx)
	if err != nil {
		d.log.WithError(err).Info("a changed config is read again on SIGHUP only")
	}
	last := d.reread(ctx, taken{text: d.configText}) // what has changed before it was watched
	var retry <-chan time.Time
	pause := firstRetake
	for {
		switch {
		case last.err == nil:
			retry, pause = nil, firstRetake
		case retry == nil:
			retry, pause = time.After(pause), min(2*pause, maxRetake)
		}
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			last = taken{} // again, whatever it says
		case <-retry:
			retry, last.text = nil, nil
		case _, open := <-changed:
			if !open {
				changed = nil
				continue
			}
		}
		last = d.reread(ctx, last)
	}
}

// reread takes over what the file says now, if it differs from what it said last.
func (d *daemon) reread(ctx context.Context, last taken) taken {
	path, text, err := d.flags.source().Read()
	if errors.Is(err, fs.ErrNotExist) {
		if d.node.Load().Source == "" {
			return last // there was none before
		}
		err = errNoConfig
	}
	now := taken{text: contentOf(path, text)}
	if err != nil {
		now.text = []byte(err.Error())
	}
	if bytes.Equal(now.text, last.text) {
		return last
	}
	var node *config.Node
	if err == nil {
		node, err = config.Parse(path, text)
	}
	if err == nil {
		err = d.reconfigure(ctx, node)
		now.err = err
	}
	if ctx.Err() != nil {
		return last
	}
	if now.err == nil || last.err == nil || now.err.Error() != last.err.Error() { // what is tried again and again is said once
		d.configTaken(path, err)
	}
	return now
}

// configTaken tells whether a changed config is in force.
func (d *daemon) configTaken(path string, err error) {
	d.meters.configRefused.Set(oneIf(err != nil))
	if err != nil {
		d.meters.reloads.WithLabelValues("refused").Inc()
		d.log.WithError(err).Error("the changed config is refused, the old one stays in force")
		d.sayOfNode(events.Warning, report.ConfigRefused, "the changed config is refused, the old one stays in force: %s", err)
		return
	}
	d.meters.reloads.WithLabelValues("taken").Inc()
	d.log.WithField("file", path).Info("the changed config is in force")
	d.sayOfNode(events.Normal, report.ConfigTaken, "the changed config is in force: %s", path)
}

// reconfigure puts another config in force, all of it or nothing. What pods have stays as it is. First it is seen that the
// node can do what the config says; then the pool offers what it says, and only then may pods name its networks.
func (d *daemon) reconfigure(ctx context.Context, node *config.Node) error {
	if err := d.checkVFs(node); err != nil {
		return err
	}
	d.loadModules(ctx, node)
	if err := d.createVFs(ctx, node); err != nil {
		return err
	}
	old := d.node.Swap(node)
	if old.Hugepages != node.Hugepages {
		d.log.Warn("hugepages has changed in the config; it is taken over when the daemon starts again")
		d.sayOfNode(events.Warning, report.ConfigIncomplete, "hugepages has changed in the config; it is taken over when the daemon starts again")
	}
	d.pool.Name(node.Traits())
	d.refresh(ctx)
	d.pool.Pack(node.Pack)
	d.plugin.Reconfigure(node)
	d.attacher.Reoffer()
	d.offerToKubelet(node)
	return ctx.Err()
}

// checkVFs refuses a config that asks for more VFs than a PF can have, before anything is changed.
func (d *daemon) checkVFs(node *config.Node) error {
	pfs, err := d.host.PFs()
	if err != nil {
		return err
	}
	for _, pf := range pfs {
		for i := range node.Providers {
			if want := &node.Providers[i]; pf.NumVFs == 0 && want.NumVFs > pf.TotalVFs && inventory.Names(want, pf) {
				return fmt.Errorf("provider %s: numVFs is %d, but the device can have %d", want.Name(), want.NumVFs, pf.TotalVFs)
			}
		}
	}
	return nil
}

// loadConfig reads the config at the start, and has it read again when it changes. Without a file all is offered.
func (d *daemon) loadConfig() (*config.Node, error) {
	path, text, err := d.flags.source().Read()
	d.reloads = true
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	d.configText = contentOf(path, text)
	return config.Parse(path, text)
}

// contentOf is what tells one config from another.
func contentOf(path string, text []byte) []byte { return append([]byte(path+"\x00"), text...) }
