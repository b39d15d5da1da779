package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Files of the folder with certificates and keys.
const (
	caFile             = "ca.crt"
	serverFile         = "server"         // .crt and .key, the API server's
	kubeletClientFile  = "kubelet-client" // .crt and .key, the API server's towards kubelets
	serviceAccountFile = "service-account"
)

// authority signs what the cluster's parts know each other by.
type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

// writeCertificates makes an authority and all that it signs, for one cluster and a day.
func writeCertificates(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the cluster's authority: %w", err)
	}
	a := &authority{dir: dir, key: key, certificate: template(1, "nri-sriov lab")}
	a.certificate.IsCA, a.certificate.BasicConstraintsValid = true, true
	a.certificate.KeyUsage |= x509.KeyUsageCertSign
	encoded, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, key.Public(), key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(encoded)
	}
	if err != nil {
		return fmt.Errorf("make the cluster's authority: %w", err)
	}
	if err := writePEM(filepath.Join(dir, caFile), "CERTIFICATE", encoded); err != nil {
		return err
	}
	server := template(0, "kube-apiserver")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames = []string{"localhost", "kubernetes.default.svc"}
	for _, address := range []string{"127.0.0.1", hostAddress, serviceAddress} {
		server.IPAddresses = append(server.IPAddresses, net.ParseIP(address))
	}
	client := template(0, "kube-apiserver")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for file, certificate := range map[string]*x509.Certificate{serverFile: server, kubeletClientFile: client} {
		if err := a.sign(file, certificate); err != nil {
			return err
		}
	}
	return writeServiceAccountKey(dir)
}

func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		// A guest's clock may be a little behind.
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// sign makes a key and a certificate for it.
func (a *authority) sign(file string, certificate *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the key of %s: %w", file, err)
	}
	a.serial++
	certificate.SerialNumber = big.NewInt(a.serial + 1)
	encoded, err := x509.CreateCertificate(rand.Reader, certificate, a.certificate, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("sign %s: %w", file, err)
	}
	if err := writePEM(filepath.Join(a.dir, file+".crt"), "CERTIFICATE", encoded); err != nil {
		return err
	}
	return writeKey(filepath.Join(a.dir, file+".key"), key)
}

// writeServiceAccountKey makes the pair that tokens of ServiceAccounts are signed and checked with.
func writeServiceAccountKey(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service accounts' key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("make the service accounts' key: %w", err)
	}
	if err := writePEM(filepath.Join(dir, serviceAccountFile+".pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, serviceAccountFile+".key"), key)
}

func writeKey(place string, key *ecdsa.PrivateKey) error {
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("write %s: %w", place, err)
	}
	return writePEM(place, "EC PRIVATE KEY", encoded)
}

func writePEM(place, kind string, encoded []byte) error {
	return os.WriteFile(place, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: encoded}), 0o600)
}
