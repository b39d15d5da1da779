package deviceplugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	v1beta1 "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// Device is one device of a resource.
type Device struct {
	ID string
	// NUMANode is -1 when it is not known.
	NUMANode int
	// Healthy devices may be given to pods; the others are counted, and not given.
	Healthy bool
}

// Source knows the devices. Its methods are called at the same time, and do not wait.
type Source interface {
	// Devices are those of a resource, by id.
	Devices(resource string) []Device
	// Allocate is told what the kubelet gives to a container, and answers with annotations for the container.
	Allocate(resource string, ids []string) (annotations map[string]string, err error)
	// Prefer chooses size of the available devices, among them all that must be.
	Prefer(resource string, available, must []string, size int) []string
}

// Times bound the waits.
type Times struct {
	// Look is how often the folder is looked at without a sign from it.
	Look time.Duration
	// Again is the pause after the first failed registration; it doubles up to MaxAgain.
	Again, MaxAgain time.Duration
	// Register bounds one registration.
	Register time.Duration
	// Watch is how long the kubelet may take from a registration to asking for the devices. Then it is registered with anew.
	Watch time.Duration
}

// DefaultTimes are right for kubelets that start within seconds, and such as take minutes.
func DefaultTimes() Times {
	return Times{Look: 5 * time.Second, Again: 250 * time.Millisecond, MaxAgain: 15 * time.Second, Register: 5 * time.Second, Watch: 15 * time.Second}
}

// Dir is the folder of the sockets below the kubelet's root folder.
func Dir(kubeletDir string) string { return filepath.Join(kubeletDir, "device-plugins") }

const kubeletSocket = "kubelet.sock"

// Plugin serves resources to one kubelet.
type Plugin struct {
	dir    string
	source Source
	times  Times
	log    logrus.FieldLogger
	// kick has something in it when the resources are others now.
	kick chan struct{}

	mutex     sync.Mutex
	resources []string
	// changed is closed, and made anew, at each change of the source.
	changed chan struct{}
	// changes counts them.
	changes uint64
	// served are the servers as Run has them.
	served map[string]*server

	// servers belong to Run.
	servers map[string]*server
	// kubelet is the socket with which the servers are registered.
	kubelet SocketID
	failed  string
}

// New makes a plugin for the sockets in dir that serves nothing yet.
func New(dir string, source Source, times Times, log logrus.FieldLogger) *Plugin {
	return &Plugin{
		dir: dir, source: source, times: times, log: log, kick: make(chan struct{}, 1), changed: make(chan struct{}),
		servers: map[string]*server{},
	}
}

// Serve tells which resources are served from now on.
func (p *Plugin) Serve(resources []string) {
	p.mutex.Lock()
	p.resources = slices.Clone(resources)
	p.mutex.Unlock()
	p.look()
}

// look has Run look at once.
func (p *Plugin) look() {
	select {
	case p.kick <- struct{}{}:
	default: // it looks already
	}
}

// Registered tells whether the kubelet that is there counts a resource: it does while it watches the devices.
func (p *Plugin) Registered(resource string) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one, served := p.served[resource]
	return served && one.watched()
}

// publish has Registered answer by what is so now.
func (p *Plugin) publish() {
	served := maps.Clone(p.servers)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.served = served
}

// Run serves and registers until ctx ends. Nothing that the kubelet or its folder does ends it.
func (p *Plugin) Run(ctx context.Context) {
	watch := newWatch(p.dir)
	defer watch.close()
	defer p.stopAll()
	pause := p.times.Again
	for {
		watch.begin()
		err := p.converge(ctx)
		next := p.patience()
		p.publish()
		if err != nil {
			p.complain(err)
			next, pause = min(pause, next), min(2*pause, p.times.MaxAgain)
		} else {
			p.failed, pause = "", p.times.Again
		}
		switch p.wait(ctx, watch, next) {
		case ended:
			return
		case signed:
			pause = p.times.Again
		}
	}
}

// patience is how long nothing is to be done without a sign: not longer than a registered kubelet may take to ask.
func (p *Plugin) patience() time.Duration {
	least := p.times.Look
	for _, one := range p.servers {
		left := time.Until(one.registered.Add(p.times.Watch))
		if !one.watched() && left > 0 { // one that is overdue has just been tried
			least = min(least, left)
		}
	}
	return least
}

// wake is what ends a wait.
type wake int

const (
	timeUp wake = iota
	signed
	ended
)

// wait waits for a sign that something is to be done.
func (p *Plugin) wait(ctx context.Context, watch *watch, most time.Duration) wake {
	up := time.After(most)
	for {
		select {
		case <-ctx.Done():
			return ended
		case <-up:
			return timeUp
		case <-p.kick:
			return signed
		case event, open := <-watch.events():
			if !open || p.matters(event) {
				return signed
			}
		}
	}
}

// matters tells whether an event is about the kubelet's socket, or the loss of one of ours.
func (p *Plugin) matters(event fsnotify.Event) bool {
	if filepath.Base(event.Name) == kubeletSocket || event.Name == p.dir {
		return true
	}
	for _, one := range p.servers {
		if event.Name == one.path && (event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename)) {
			return true
		}
	}
	return false
}

// complain logs each trouble once.
func (p *Plugin) complain(err error) {
	if text := err.Error(); text != p.failed {
		p.failed = text
		p.log.WithError(err).Warn("the kubelet does not count VFs for now; it is tried again")
	}
}

// converge has a server for each resource, each registered with the kubelet that is there.
func (p *Plugin) converge(ctx context.Context) error {
	p.mutex.Lock()
	wanted := slices.Clone(p.resources)
	p.mutex.Unlock()
	for resource, one := range p.servers {
		if !slices.Contains(wanted, resource) {
			p.log.WithField("resource", resource).Info("resource is not served any more")
			one.stop()
			delete(p.servers, resource)
		}
	}
	kubelet, err := SocketOf(filepath.Join(p.dir, kubeletSocket))
	if err != nil || p.kubelet != kubelet {
		for _, one := range p.servers {
			one.registered = time.Time{}
		}
		p.kubelet = kubelet
	}
	if err != nil {
		return fmt.Errorf("the kubelet is not there: %w", err)
	}
	var errs []error
	for _, resource := range wanted {
		errs = append(errs, p.ensure(ctx, resource))
	}
	return errors.Join(errs...)
}

// ensure has one resource served and registered.
func (p *Plugin) ensure(ctx context.Context, resource string) error {
	one := p.servers[resource]
	if one != nil && !one.there() {
		one.stop()
		delete(p.servers, resource)
		one = nil
	}
	if one == nil {
		var err error
		if one, err = p.start(resource); err != nil {
			return fmt.Errorf("serve %s: %w", resource, err)
		}
		p.servers[resource] = one
		p.publish()
	}
	// A kubelet that watches is not registered with again, for which it would refuse us. One that is not heard of comes soon.
	if one.watched() || time.Since(one.registered) < p.times.Watch {
		return nil
	}
	err := p.register(ctx, one)
	if err != nil && one.watched() {
		return nil // it was registered with, and its answer came too late
	}
	if err != nil {
		return fmt.Errorf("register %s with the kubelet: %w", resource, err)
	}
	one.registered = time.Now()
	p.log.WithField("resource", resource).Info("resource is registered with the kubelet")
	return nil
}

func (p *Plugin) register(ctx context.Context, one *server) error {
	ctx, cancel := context.WithTimeout(ctx, p.times.Register)
	defer cancel()
	connection, err := grpc.NewClient("unix:"+filepath.Join(p.dir, kubeletSocket), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	_, err = v1beta1.NewRegistrationClient(connection).Register(ctx, &v1beta1.RegisterRequest{
		Version: v1beta1.Version, Endpoint: filepath.Base(one.path), ResourceName: one.resource,
		Options: &v1beta1.DevicePluginOptions{GetPreferredAllocationAvailable: true},
	})
	return errors.Join(err, connection.Close())
}

func (p *Plugin) stopAll() {
	for resource, one := range p.servers {
		one.stop()
		delete(p.servers, resource)
	}
}
