package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// egressConfig has the API server reach kubelets through our proxy.
const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport: {uds: {udsName: %q}}
`

// egress is the API server's way to the kubelets. Every guest has the same address, which means nothing on the host; but
// each kubelet has a port of its own, which QEMU forwards.
type egress struct {
	listener net.Listener
	server   *http.Server
}

// serveEgress starts the proxy and writes the file that tells the API server of it.
func serveEgress(dir string) (*egress, error) {
	socket := filepath.Join(dir, "egress.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("serve the API server's way to the kubelets: %w", err)
	}
	e := &egress{listener: listener, server: &http.Server{Handler: http.HandlerFunc(connect), ReadHeaderTimeout: 10 * time.Second}}
	go func() { _ = e.server.Serve(listener) }() // until Close
	return e, os.WriteFile(egressFile(dir), fmt.Appendf(nil, egressConfig, socket), 0o600)
}

func egressFile(dir string) string { return filepath.Join(dir, "egress.yaml") }

func (e *egress) Close() error { return e.server.Close() }

// connect joins the API server with 127.0.0.1 and the port that it asks for.
func connect(w http.ResponseWriter, r *http.Request) {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil || r.Method != http.MethodConnect {
		http.Error(w, "want CONNECT with an address and a port", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	kubelet, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer kubelet.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	ended := make(chan struct{}, 2)
	for _, way := range []struct {
		to   io.Writer
		from io.Reader
	}{{kubelet, buffered}, {client, kubelet}} {
		go func() {
			_, _ = io.Copy(way.to, way.from) // either end may go at any time
			ended <- struct{}{}
		}()
	}
	<-ended
}
