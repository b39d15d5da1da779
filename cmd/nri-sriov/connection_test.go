package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
)

// halfway is a runtime that takes registrations, and then has nothing more to say.
type halfway struct{ registered chan net.Conn }

func (h *halfway) serve(t *testing.T, socket string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go h.talk(t, conn)
		}
	}()
}

func (h *halfway) talk(t *testing.T, conn net.Conn) {
	listener, err := multiplex.Multiplex(conn).Listen(multiplex.RuntimeServiceConn)
	if err != nil {
		t.Error(err)
		return
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Error(err)
		return
	}
	api.RegisterRuntimeService(server, &runtimeService{func() { h.registered <- conn }})
	_ = server.Serve(context.Background(), listener) // it ends with the connection
}

type runtimeService struct{ registered func() }

func (r *runtimeService) RegisterPlugin(context.Context, *api.RegisterPluginRequest) (*api.Empty, error) {
	r.registered()
	return &api.Empty{}, nil
}

func (r *runtimeService) UpdateContainers(context.Context, *api.UpdateContainersRequest) (*api.UpdateContainersResponse, error) {
	return &api.UpdateContainersResponse{}, nil
}

// TestRuntimeEndsAfterRegistration: a runtime that goes, or is mute, between registration and settings is given up, and a
// daemon that is to end meanwhile ends.
func TestRuntimeEndsAfterRegistration(t *testing.T) {
	dir := shortFolder(t)
	d, err := madeUp(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &halfway{registered: make(chan net.Conn, 1)}
	h.serve(t, d.flags.nriSocket)
	connect := func(ctx context.Context, limit time.Duration) (net.Conn, chan error) {
		ended := make(chan error, 1)
		go func() { ended <- d.connect(ctx, limit) }()
		return <-h.registered, ended
	}

	conn, ended := connect(t.Context(), 300*time.Millisecond)
	_ = conn.Close() // before its answer is read, or after
	if err := <-ended; err == nil {
		t.Error("it went, and nothing is said")
	}

	_, ended = connect(t.Context(), 300*time.Millisecond)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "did not send its settings within 300ms") {
		t.Errorf("it is mute: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	conn, ended = connect(ctx, time.Hour)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the daemon is to end: %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for text := make([]byte, 4096); err == nil; {
		_, err = conn.Read(text)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is left open")
	}
}
