package main

import (
	"context"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
)

const (
	// quiesceTime bounds the wait for hooks that are under way when the daemon is to end.
	quiesceTime = 2 * time.Second
	// flushTime is how long an answer may take from a hook into the connection.
	flushTime = 50 * time.Millisecond
)

// session is the plugin on one connection. A runtime takes a connection that ends in the middle of a request for a plugin that
// has nothing to say, and creates the container without what it was to have: NRI before 0.12.5, whatever failure policy is
// asked for, and with required_plugins too, since the plugin was there when the request began. So a daemon that ends answers
// first.
type session struct {
	*hooks.Plugin
	// ending is done when the connection is to end: the gate waits no more.
	ending context.Context
	// told is closed when the runtime has sent its settings.
	told chan struct{}
	once sync.Once

	mutex  sync.Mutex
	flight int
}

// Configure is the hook of that name.
func (s *session) Configure(ctx context.Context, text, runtime, version string) (api.EventMask, error) {
	defer s.once.Do(func() { close(s.told) })
	return s.Plugin.Configure(ctx, text, runtime, version)
}

// CreateContainer is the hook of that name.
func (s *session) CreateContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	s.count(1)
	defer s.count(-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	return s.Plugin.CreateContainer(ctx, pod, container)
}

// StartContainer is the hook of that name.
func (s *session) StartContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) error {
	s.count(1)
	defer s.count(-1)
	return s.Plugin.StartContainer(ctx, pod, container)
}

// RunPodSandbox is the hook of that name.
func (s *session) RunPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	s.count(1)
	defer s.count(-1)
	return s.Plugin.RunPodSandbox(ctx, pod)
}

func (s *session) count(by int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.flight += by
}

func (s *session) busy() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.flight > 0
}

// quiesce waits until what was under way is answered.
func (s *session) quiesce() {
	for begun := time.Now(); s.busy() && time.Since(begun) < quiesceTime; {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(flushTime)
}
