package cluster

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestEgress: what the API server says to an address of a guest arrives at that port of 127.0.0.1, in both directions.
func TestEgress(t *testing.T) {
	dir := t.TempDir()
	e, err := serveEgress(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	kubelet, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer kubelet.Close()
	go func() {
		if conn, err := kubelet.Accept(); err == nil {
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	ask := func(port int) (*http.Response, net.Conn, *bufio.Reader) {
		conn, err := net.Dial("unix", filepath.Join(dir, "egress.sock"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "CONNECT 10.0.2.15:%[1]d HTTP/1.1\r\nHost: 10.0.2.15:%[1]d\r\n\r\n", port)
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
		if err != nil {
			t.Fatal(err)
		}
		return response, conn, reader
	}
	response, conn, reader := ask(kubelet.Addr().(*net.TCPAddr).Port)
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	fmt.Fprintln(conn, "hello")
	if line, err := reader.ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
	if response, _, _ := ask(1); response.StatusCode != http.StatusBadGateway {
		t.Errorf("where nothing listens: %s", response.Status)
	}
}

// TestCertificates: whoever trusts the authority reaches the API server by each of its addresses.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	if err := writeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(ca) {
		t.Fatal("the authority's certificate cannot be read")
	}
	server, err := tls.LoadX509KeyPair(filepath.Join(dir, serverFile+".crt"), filepath.Join(dir, serverFile+".key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.0.0.1", hostAddress, serviceAddress, "kubernetes.default.svc"} {
		if _, err := server.Leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name}); err != nil {
			t.Error(err)
		}
	}
	if _, err := server.Leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: "10.0.2.15"}); err == nil {
		t.Error("it is good for a node too")
	}
	client, err := tls.LoadX509KeyPair(filepath.Join(dir, kubeletClientFile+".crt"), filepath.Join(dir, kubeletClientFile+".key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Leaf.Verify(x509.VerifyOptions{Roots: trusted, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
}
