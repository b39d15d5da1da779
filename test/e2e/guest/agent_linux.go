package main

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// bootModules are in use from the start; others load when somebody asks.
var bootModules = []string{"virtio_net", "veth", "bridge", "tun"}

// systemdSocket is where systemctl asks; it is there once systemd takes requests.
const systemdSocket = "/run/systemd/private"

// serve finishes the machine and then answers the host.
func serve() error {
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	args, err := readArguments()
	if err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("lab")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := loadModules(release, bootModules...); err != nil {
		return err
	}
	if err := configureManagement(); err != nil {
		return err
	}
	if err := bringUp(release, args); err != nil {
		return err
	}
	if err := waitFor(systemdSocket, time.Minute); err != nil {
		return err
	}
	agent := &agent{token: args.token, release: release, processes: newProcesses()}
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", protocol.Port))
	if err != nil {
		return fmt.Errorf("listen for the host: %w", err)
	}
	fmt.Println("lab: ready")
	return http.Serve(listener, agent.handler())
}

func kernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("ask the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

// arguments is what the host wrote on the kernel's command line.
type arguments struct {
	token string
	pfs   map[string]string // PCI address to name
	vfs   int
}

func readArguments() (arguments, error) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return arguments{}, fmt.Errorf("read the kernel's command line: %w", err)
	}
	args := arguments{pfs: map[string]string{}}
	for _, word := range strings.Fields(string(text)) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case protocol.ArgToken:
			args.token = value
		case protocol.ArgNIC:
			name, address, found := strings.Cut(value, "@")
			if !found {
				return arguments{}, fmt.Errorf("read %s: want name@address, got %q", key, value)
			}
			args.pfs[address] = name
		case protocol.ArgVFs:
			if args.vfs, err = strconv.Atoi(value); err != nil {
				return arguments{}, fmt.Errorf("read %s: %w", key, err)
			}
		}
	}
	return args, nil
}

// agent answers the host's requests.
type agent struct {
	token, release string
	processes      *processes
}

func (a *agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+protocol.PathReady, a.ready)
	mux.HandleFunc("POST "+protocol.PathRun, a.run)
	mux.HandleFunc("POST "+protocol.PathStart, a.start)
	mux.HandleFunc("POST "+protocol.PathSignal, a.signal)
	mux.HandleFunc("GET "+protocol.PathWait, a.wait)
	mux.HandleFunc("GET "+protocol.PathFile, readFile)
	mux.HandleFunc("PUT "+protocol.PathFile, writeFile)
	mux.HandleFunc("GET "+protocol.PathArchive, archive)
	mux.HandleFunc("GET "+protocol.PathDial, dial)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(protocol.TokenHeader)), []byte(a.token)) != 1 {
			http.Error(w, "this is another guest: the token differs", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (a *agent) ready(w http.ResponseWriter, _ *http.Request) {
	var uptime float64
	if text, err := os.ReadFile("/proc/uptime"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		uptime, _ = strconv.ParseFloat(first, 64)
	}
	answer(w, protocol.Ready{Kernel: a.release, Seconds: uptime})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the host is gone when this fails
}
