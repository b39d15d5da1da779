package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
)

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
				Network: one.Network, Interface: one.Interface, Device: cmp.Or(one.Device, config.DeviceNetdev), PF: one.PFName, VFID: one.VFID,
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
func (d *daemon) serve() {
	d.socket = &socket{runDir: d.flags.runDir, serve: d.serveHTTP, api: d.socketAPI()}
	d.trouble.say("socket", d.socket.keep())
	if d.flags.listen == "" {
		return
	}
	probes, err := net.Listen("tcp", d.flags.listen)
	if err != nil {
		// An operator's probe notices; pods need their VFs all the same.
		d.log.WithError(err).Error("health is not served: choose another --listen")
		return
	}
	d.servers = append(d.servers, d.serveHTTP(probes, d.probes()))
}

func (d *daemon) serveHTTP(listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.WithError(err).Error("a server has ended")
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			d.log.WithError(err).Debug("shut a server down")
		}
	}
}

func (d *daemon) socketAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/inventory", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, treeOf(d.pool)) })
	mux.HandleFunc("GET /v1/pods", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, podsOf(d.attacher)) })
	mux.HandleFunc("GET /v1/drift", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, d.drift.look()) })
	mux.HandleFunc("GET /v1/serving", func(w http.ResponseWriter, _ *http.Request) {
		if !d.servesPods() {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		d.answer(w, struct{}{})
	})
	mux.HandleFunc("POST /v1/release/{sandbox}", func(w http.ResponseWriter, r *http.Request) {
		sandbox := r.PathValue("sandbox")
		if !d.attacher.Known(sandbox) {
			http.Error(w, fmt.Sprintf("sandbox %q holds nothing here; see nri-sriov pods", sandbox), http.StatusNotFound)
			return
		}
		d.log.WithField("sandbox", sandbox).Warn("a person has the sandbox's VFs released")
		d.releaseByHand(sandbox)
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

// probes are /metrics, /healthz, true while the process serves, and /readyz, true while nothing is lacking.
func (d *daemon) probes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics(d.collector(), d.meters))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if lacking := d.lacking(); lacking != "" {
			http.Error(w, lacking, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

func (d *daemon) collector() collector {
	c := collector{pool: d.pool, attacher: d.attacher, drift: d.drift, plugin: d.plugin, storage: d.storage, kubelet: d.kubelet}
	if d.reporter != nil {
		c.waiting = d.reporter.Waiting
	}
	return c
}

// lacking says what the node lacks to serve pods; nothing when it is ready. It may be asked from the first moment of start on.
func (d *daemon) lacking() string {
	if !d.serving.Load() { // and what is looked at below is not there yet
		return "the daemon is still starting"
	}
	var lacking []string
	switch {
	case !d.connected.Load():
		lacking = append(lacking, "not connected to the runtime's NRI socket "+d.flags.nriSocket)
	case !d.plugin.Synchronised():
		lacking = append(lacking, "not synchronised: the runtime has not sent its list of pods yet")
	}
	if err := d.storage.trouble(); err != nil {
		lacking = append(lacking, "the journal is not writable: "+err.Error())
	}
	return strings.Join(lacking, "\n")
}

func treeOf(pool *inventory.Pool) inventory.Tree {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return pool.Tree(host)
}
