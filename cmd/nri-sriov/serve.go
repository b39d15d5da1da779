package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
)

const socketName = "nri-sriov.sock"

// podList is the content of `nri-sriov pods -o json`.
type podList struct {
	Pods []podView `json:"pods"`
}

type podView struct {
	Sandbox     string           `json:"sandbox"`
	Namespace   string           `json:"namespace"`
	Name        string           `json:"name"`
	UID         string           `json:"uid"`
	Attachments []attachmentView `json:"attachments"`
}

type attachmentView struct {
	Network    string          `json:"network"`
	Interface  string          `json:"interface"`
	Device     string          `json:"device"`
	PCIAddress string          `json:"pciAddress"`
	PF         string          `json:"pf"`
	VFID       int             `json:"vfID"`
	State      attach.State    `json:"state"`
	Error      string          `json:"error,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
}

func podsOf(attacher *attach.Attacher) podList {
	list := podList{Pods: []podView{}}
	for _, pod := range attacher.Pods() {
		view := podView{
			Sandbox: pod.Sandbox.ID, Namespace: pod.Sandbox.Namespace, Name: pod.Sandbox.Name, UID: pod.Sandbox.UID,
			Attachments: []attachmentView{},
		}
		for _, one := range pod.Attachments {
			attachment := attachmentView{
				Network: one.Network, Interface: one.Interface, Device: "netdev", PF: one.PFName, VFID: one.VFID,
				State: one.State, Error: one.Error, Result: one.Result,
			}
			if !one.Address.IsZero() {
				attachment.PCIAddress = one.Address.String()
			}
			view.Attachments = append(view.Attachments, attachment)
		}
		list.Pods = append(list.Pods, view)
	}
	return list
}

// serve answers the subcommands on the daemon's own socket, and probes on --listen.
func (d *daemon) serve() error {
	if err := os.MkdirAll(d.flags.runDir, 0o755); err != nil {
		return fmt.Errorf("make the run folder: %w", err)
	}
	path := filepath.Join(d.flags.runDir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove an old socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, listener.Close())
	}
	d.serveHTTP(listener, d.socketAPI())
	if d.flags.listen == "" {
		return nil
	}
	probes, err := net.Listen("tcp", d.flags.listen)
	if err != nil {
		// An operator's probe notices; pods need their VFs all the same.
		d.log.WithError(err).Error("health is not served: choose another --listen")
		return nil
	}
	d.serveHTTP(probes, d.probes())
	return nil
}

func (d *daemon) serveHTTP(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.WithError(err).Error("a server has ended")
		}
	}()
	d.servers = append(d.servers, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			d.log.WithError(err).Debug("shut a server down")
		}
	})
}

func (d *daemon) socketAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/inventory", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, treeOf(d.pool)) })
	mux.HandleFunc("GET /v1/pods", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, podsOf(d.attacher)) })
	mux.HandleFunc("GET /v1/drift", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, driftOf(d.attacher)) })
	mux.HandleFunc("POST /v1/release/{sandbox}", func(w http.ResponseWriter, r *http.Request) {
		sandbox := r.PathValue("sandbox")
		if !d.attacher.Known(sandbox) {
			http.Error(w, fmt.Sprintf("sandbox %q holds nothing here; see nri-sriov pods", sandbox), http.StatusNotFound)
			return
		}
		d.log.WithField("sandbox", sandbox).Warn("a person has the sandbox's VFs released")
		d.attacher.Release(sandbox)
		d.answer(w, struct{}{})
	})
	return mux
}

func (d *daemon) answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		d.log.WithError(err).Debug("answer a request")
	}
}

// probes are /metrics, /healthz, true while the process serves, and /readyz, true while the runtime is connected and synchronised.
func (d *daemon) probes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics(d.pool, d.attacher, d.plugin))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !d.plugin.Synchronised() {
			http.Error(w, "not connected to the runtime's NRI socket "+d.flags.nriSocket, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

func treeOf(pool *inventory.Pool) inventory.Tree {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return pool.Tree(host)
}
