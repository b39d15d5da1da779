package main

import (
	"context"

	"github.com/sirupsen/logrus"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// ends tells of pods' network namespaces that are gone.
type ends struct {
	watch *vf.Ends // nil where the kernel grants none
	log   logrus.FieldLogger
}

func (d *daemon) watchEnds() ends {
	watch, err := vf.WatchEnds()
	if err != nil {
		d.log.WithError(err).Error("the end of sandboxes that the runtime keeps to itself is noticed some seconds late")
	}
	return ends{watch, d.log}
}

// add has the end of the namespace at a path told.
func (e ends) add(netns string) {
	if e.watch == nil {
		return
	}
	if err := e.watch.Add(netns); err != nil {
		e.log.WithError(err).Warn("the end of a sandbox may be noticed some seconds late")
	}
}

// tell tells the attacher until ctx ends.
func (e ends) tell(ctx context.Context, attacher *attach.Attacher) {
	if e.watch == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			if err := e.watch.Close(); err != nil {
				e.log.WithError(err).Debug("close")
			}
			return
		case path := <-e.watch.Gone:
			attacher.NamespaceGone(path)
		}
	}
}
