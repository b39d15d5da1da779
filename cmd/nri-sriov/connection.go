package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/sirupsen/logrus"
)

// serveRuntime connects to the runtime and serves it; with again, for ever.
func (d *daemon) serveRuntime(ctx context.Context, again bool) error {
	pause := firstReconnect
	for {
		begun := time.Now()
		err := d.connect(ctx, settingsLimit)
		d.connected.Store(false)
		d.plugin.Disconnected()
		select {
		case err := <-d.failed:
			return err
		default:
		}
		if ctx.Err() != nil {
			return nil
		}
		if !again {
			d.log.WithError(err).Info("containerd has ended the connection")
			return nil
		}
		if time.Since(begun) > maxReconnect {
			pause = firstReconnect
		}
		d.log.WithError(err).WithFields(logrus.Fields{"socket": d.flags.nriSocket, "again": pause.String()}).
			Warn("not connected to the runtime: pods start without their VFs unless containerd requires this plugin")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, maxReconnect)
	}
}

// settingsLimit is how long the runtime may take from the connection's begin to its settings, which follow the registration
// at once; it gives itself 5 s for the one and 2 s for the other.
const settingsLimit = 15 * time.Second

// connect serves one connection, on which the runtime's settings come within a limit. The failure policy asks runtimes that
// know it (NRI from 0.12.5 on) to fail a request that we do not answer in time, and to keep us.
func (d *daemon) connect(ctx context.Context, limit time.Duration) error {
	ending, end := context.WithCancel(ctx)
	defer end()
	plugin := &session{Plugin: d.plugin, ending: ending, told: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	go func() {
		select {
		case err := <-d.failed:
			d.failed <- err
			end()
			plugin.quiesce()
			cancel(err)
		case <-ending.Done():
			plugin.quiesce()
			cancel(context.Cause(ending))
		}
	}()
	options := []stub.Option{
		stub.WithLogger(nriLog{d.log}),
		stub.WithFailurePolicy(&api.FailurePolicy{FailRequest: true, KeepConnected: true}),
		stub.WithOnClose(func() { cancel(errors.New("the connection was closed")) }),
		stub.WithDialer(func(path string) (net.Conn, error) {
			conn, err := net.Dial("unix", path)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() }) // who gave up a stub has no other way to its connection
			}
			return conn, err
		}),
	}
	if os.Getenv(api.PluginSocketEnvVar) == "" {
		options = append(options, stub.WithSocketPath(d.flags.nriSocket),
			stub.WithPluginName(d.flags.pluginName), stub.WithPluginIdx(d.flags.pluginIndex))
	}
	connection, err := stub.New(plugin, options...)
	if err != nil {
		return err
	}
	d.plugin.SetTimeout(connection.RequestTimeout)
	ended := make(chan error, 1)
	go func() { ended <- connection.Run(ctx) }()
	// Between registration and settings the stub waits for ever, whatever becomes of the connection and of ctx.
	select {
	case <-plugin.told:
		return <-ended
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(limit):
		return fmt.Errorf("the runtime did not send its settings within %s", limit)
	}
}
