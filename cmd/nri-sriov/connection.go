package main

import (
	"context"
	"errors"
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
		err := d.connect(ctx)
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

// connect serves one connection. The failure policy asks runtimes that know it (NRI from 0.12.5 on) to fail a request
// that we do not answer in time, and to keep us.
func (d *daemon) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-d.failed:
			d.failed <- err
			cancel(err)
		case <-ctx.Done():
		}
	}()
	options := []stub.Option{
		stub.WithLogger(nriLog{d.log}),
		stub.WithFailurePolicy(&api.FailurePolicy{FailRequest: true, KeepConnected: true}),
		stub.WithOnClose(func() { cancel(errors.New("the connection was closed")) }),
	}
	if os.Getenv(api.PluginSocketEnvVar) == "" {
		options = append(options, stub.WithSocketPath(d.flags.nriSocket),
			stub.WithPluginName(d.flags.pluginName), stub.WithPluginIdx(d.flags.pluginIndex))
	}
	connection, err := stub.New(d.plugin, options...)
	if err != nil {
		return err
	}
	d.plugin.SetTimeout(connection.RequestTimeout)
	return connection.Run(ctx)
}
