package attach

import (
	"context"

	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

// Device is one way of giving a VF to a pod.
type Device interface {
	// Rest reads how the VF lies in the host, and whether it is marked as one that was not cleaned; see Netdev.Rest.
	Rest(address vf.PCIAddress) (resting []Resting, marked bool, err error)
	// Attach brings the VF into the namespace; see Netdev.Attach.
	Attach(ctx context.Context, a *Attachment, pf vf.PF, have vf.Settings, ns *vf.Namespace) error
	// Release brings it back clean; see Netdev.Release.
	Release(ctx context.Context, a Attachment, pf vf.PF, ns *vf.Namespace) error
	// Found reads which VFs lie in a pod by their marks; see Netdev.Found.
	Found(ns *vf.Namespace) (map[vf.PCIAddress][]Port, error)
	// Drift says in what an attachment differs from what was given; see Netdev.Drift.
	Drift(a Attachment, pf vf.PF, ns *vf.Namespace) ([]string, error)
}

// Addresser gives attachments their addresses; see Addressing. It works beside the PF's worker, so that a slow IPAM plugin
// holds up its own pod only.
type Addresser interface {
	Address(ctx context.Context, sandbox Sandbox, a *Attachment, ns *vf.Namespace) error
	Unaddress(ctx context.Context, sandbox Sandbox, a Attachment) error
	// CheckLease asks the IPAM plugin whether it still holds what it gave.
	CheckLease(ctx context.Context, sandbox Sandbox, a Attachment) error
	// CollectLeases has the IPAM plugin of a network drop all but the leases of these attachments, by sandbox.
	CollectLeases(ctx context.Context, network Want, valid map[string][]Attachment) error
}

// Announcer tells the neighbours of an attachment's addresses.
type Announcer interface {
	Announce(ctx context.Context, a Attachment, ns *vf.Namespace) error
}

// Options are what an Attacher is made of.
type Options struct {
	Pool    *inventory.Pool
	Journal *journal.Journal
	// Copies holds the records of sandboxes with devices that bear no mark of their own, in another folder: a lost journal
	// must not give such a device to a second pod. Nil keeps none.
	Copies  *journal.Journal
	Results *Results
	// Hugepages are the folders of containers; nil where they get none.
	Hugepages *Hugepages
	Device    Device
	Address   Addresser
	Announce  Announcer
	Settings  func(vf.PF) (map[int]vf.Settings, error)
	// Reread reads a PF's provider anew; nil keeps what was read at the start.
	Reread func(pf vf.PCIAddress) (*inventory.Provider, error)
	// Open opens the network namespace at a path; vf.OpenNamespace but in tests.
	Open func(path string) (*vf.Namespace, error)
	// Follow is told the path of each network namespace whose end NamespaceGone is to be told; nil tells nobody. It does
	// not wait.
	Follow func(netns string)
	// Host is the inode of the host's network namespace, which no pod is given anything in.
	Host  uint64
	Times Times
	Log   logrus.FieldLogger
	// Observer may be told of nothing.
	Observer Observer
}
