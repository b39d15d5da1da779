package kubelet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/kube/deviceplugin"
	"github.com/nri-sriov/nri-sriov/pkg/kube/podresources"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Times bound the waits.
type Times struct {
	// Poll is how often the kubelet is asked for what all its pods have; Soon is the same while somebody has not come yet
	// for what it was given.
	Poll, Soon time.Duration
	// Again is the pause before a question without answer is asked anew; it doubles up to MaxAgain.
	Again, MaxAgain time.Duration
	// Unknown is how long the kubelet has to say that it knows no such pod before that counts as one of somebody else's.
	Unknown time.Duration
	// Fresh is how long a kubelet, since it was seen first, is not believed that there are no other pods than it tells of: one
	// that has just started answers before it has heard of its pods, and of static pods first.
	Fresh time.Duration
	// Plugin are those of the device plugin.
	Plugin deviceplugin.Times
}

// DefaultTimes are right for real kubelets.
func DefaultTimes() Times {
	return Times{
		Poll: 10 * time.Second, Soon: time.Second, Again: 50 * time.Millisecond, MaxAgain: time.Second,
		Unknown: 2 * time.Second, Fresh: 10 * time.Second, Plugin: deviceplugin.DefaultTimes(),
	}
}

// Options are what a Kubelet is made of.
type Options struct {
	// Dir is the kubelet's root folder.
	Dir  string
	Pool *inventory.Pool
	// Ready tells whether pods get what they are given; while they do not, nothing is offered. It does not wait.
	Ready func() bool
	Times Times
	Log   logrus.FieldLogger
}

// Kubelet is the node's kubelet as the daemon deals with it.
type Kubelet struct {
	pool   *inventory.Pool
	ready  func() bool
	times  Times
	log    logrus.FieldLogger
	path   string
	client *podresources.Client
	plugin *deviceplugin.Plugin

	mutex    sync.Mutex
	networks map[string]*config.Network
	pack     bool
	ledger   ledger
	// mute tells that the last list could not be had, and that this was said.
	mute bool
	// twice counts VFs that were given to a second pod.
	twice int
	// told tells that there was a list of what pods have since the daemon's start.
	told bool
	// socket is that of the kubelet which answered last, and since when it is that one.
	socket deviceplugin.SocketID
	since  time.Time
	// turn has a place for the one who asks for the list: an answer must not overtake the answer to an earlier question.
	turn chan struct{}
}

var _ deviceplugin.Source = (*Kubelet)(nil)

// New makes a Kubelet that offers nothing until Configure.
func New(o Options) (*Kubelet, error) {
	path := podresources.Socket(o.Dir)
	client, err := podresources.New(path)
	if err != nil {
		return nil, err
	}
	k := &Kubelet{pool: o.Pool, ready: o.Ready, times: o.Times, log: o.Log, path: path, client: client, ledger: ledger{}, turn: make(chan struct{}, 1)}
	k.plugin = deviceplugin.New(deviceplugin.Dir(o.Dir), k, o.Times.Plugin, o.Log)
	return k, nil
}

// Configure takes over the networks of a config: those that are new are registered, and those that are no more are not
// offered any more. A network with the resource of another plugin is that plugin's to register.
func (k *Kubelet) Configure(node *config.Node) {
	networks := map[string]*config.Network{}
	var userspace []string
	for i := range node.Networks {
		one := &node.Networks[i]
		if one.ResourceName == "" {
			networks[one.Resource()] = one
		}
		if one.Device == config.DeviceVFIO {
			userspace = append(userspace, one.Resource())
		}
	}
	k.pool.Userspace(userspace)
	k.mutex.Lock()
	k.networks, k.pack = networks, node.Pack
	k.mutex.Unlock()
	k.plugin.Serve(slices.Sorted(maps.Keys(networks)))
	k.plugin.Changed()
}

// firstTime bounds the wait for the first list of what pods have. With it, the kubelet is not told for a moment that what
// its pods have is somebody else's.
const firstTime = 2 * time.Second

// Run keeps the kubelet told, and what it gave away, until ctx ends. The connection ends with it.
func (k *Kubelet) Run(ctx context.Context) {
	first, cancel := context.WithTimeout(ctx, firstTime)
	_ = k.refresh(first) // it was logged, and is asked for again
	cancel()
	var both sync.WaitGroup
	both.Go(func() { k.plugin.Run(ctx) })
	both.Go(func() { k.follow(ctx) })
	both.Go(func() { k.poll(ctx) })
	both.Wait()
	if err := k.client.Close(); err != nil {
		k.log.WithError(err).Debug("close the connection to the kubelet")
	}
}

// follow has each change of the inventory told.
func (k *Kubelet) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.pool.Changed():
		case <-time.After(k.times.Soon): // Ready gives no sign
		}
		k.plugin.Changed()
	}
}

// poll asks for what all pods have: it is the only way to learn of pods that have ended, and of other plugins' devices. A
// question without answer is asked again soon.
func (k *Kubelet) poll(ctx context.Context) {
	for last := (time.Time{}); ; {
		if now := time.Now(); now.Sub(last) >= k.times.Poll || k.pool.Promised() || k.fresh(now) {
			if k.refresh(ctx) == nil {
				last = now
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.times.Soon):
		}
	}
}

func (k *Kubelet) refresh(ctx context.Context) error {
	return k.list(ctx, func() bool { return false })
}

// list takes over what all pods have, unless there is no need any more when it is our turn.
func (k *Kubelet) list(ctx context.Context, needless func() bool) error {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.turn }()
	if needless() {
		return nil
	}
	asked := time.Now()
	pods, err := k.client.List(ctx)
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if err != nil {
		if !k.mute && !errors.Is(err, context.Canceled) {
			k.mute = true
			k.log.WithError(err).Warn("the kubelet does not tell what its pods have; VFs that it gave away stay so")
		}
		return err
	}
	k.mute = false
	k.meet(asked)
	if len(pods) == 0 && k.isFresh(asked) {
		return errNoPods
	}
	k.told = true
	k.takeOver(pods, asked)
	return nil
}

// errNoPods says that a list was not taken over.
var errNoPods = errors.New("the kubelet knows of no pod at all yet, as one that has just started")

// meet takes note of who has just answered: a kubelet makes its socket anew when it starts. The caller holds the mutex.
func (k *Kubelet) meet(asked time.Time) {
	if socket, err := deviceplugin.SocketOf(k.path); err == nil && socket != k.socket {
		k.socket, k.since = socket, asked
	}
}

// isFresh tells whether the kubelet may not know all of its pods yet; the caller holds the mutex.
func (k *Kubelet) isFresh(now time.Time) bool { return now.Sub(k.since) < k.times.Fresh }

func (k *Kubelet) fresh(now time.Time) bool {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.isFresh(now)
}

// wasTold tells whether there was a list already.
func (k *Kubelet) wasTold() bool {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.told
}

// takeOver takes over what all pods have; the caller holds the mutex.
func (k *Kubelet) takeOver(pods []podresources.Pod, asked time.Time) {
	list := map[vf.PCIAddress][]string{}
	for _, pod := range pods {
		for _, one := range pod.Devices {
			if address, err := vf.ParsePCIAddress(one.ID); err == nil && !slices.Contains(list[address], one.Resource) {
				list[address] = append(list[address], one.Resource)
			}
		}
	}
	if !k.isFresh(asked) {
		k.ledger.drop(list, asked)
	}
	k.ledger.retain(list, asked)
	k.pool.Promise(k.ledger.resources())
}

// Promised tells whether there may be a pod that was given VFs and has not come for them yet.
func (k *Kubelet) Promised() bool { return k.pool.Promised() }

// Given asks which devices the kubelet gave a pod, until there is an answer or ctx ends. A pod that it does not know has
// none. What the pod was given is promised from then on. Before the first answer, the list of what all pods have is asked
// for: who is served from what is free must not get what the kubelet gave to one who has not come yet.
func (k *Kubelet) Given(ctx context.Context, namespace, name string) ([]podresources.Device, error) {
	begun := time.Now()
	var unknown time.Time // since when it has said nothing else: one that has just started knows no pod yet
	var last error
	for pause := k.times.Again; ; pause = min(2*pause, k.times.MaxAgain) {
		var pod podresources.Pod
		err := k.firstList(ctx)
		asked := time.Now()
		if err == nil {
			pod, err = k.client.Pod(ctx, namespace, name)
		}
		switch {
		case err == nil:
			k.confirm(pod.Devices, asked)
			return pod.Devices, nil
		case !errors.Is(err, podresources.ErrNoPod):
			unknown = time.Time{}
		case unknown.IsZero():
			unknown = time.Now()
		case time.Since(unknown) >= k.times.Unknown:
			return nil, nil
		}
		if last == nil || status.Code(err) != codes.DeadlineExceeded {
			last = err // that says more than that the time was up
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("no answer within %s: %w", time.Since(begun).Round(time.Millisecond), last)
		}
	}
}

// firstList takes over what all pods have, if that was never told.
func (k *Kubelet) firstList(ctx context.Context) error {
	if k.wasTold() {
		return nil
	}
	return k.list(ctx, k.wasTold)
}

func (k *Kubelet) confirm(devices []podresources.Device, asked time.Time) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, one := range devices {
		if address, err := vf.ParsePCIAddress(one.ID); err == nil {
			k.ledger.confirm(address, one.Resource, asked)
		}
	}
	k.pool.Promise(k.ledger.resources())
}
