package cluster

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

const (
	// hostAddress is where guests reach the host's 127.0.0.1.
	hostAddress = lab.HostAddress
	// serviceAddress is the first one of serviceSubnet: it is the API server's Service.
	serviceAddress = "10.96.0.1"
	serviceSubnet  = "10.96.0.0/16"
)

// Users of the API server that are no nodes.
const (
	admin     = "admin"
	manager   = "system:kube-controller-manager"
	scheduler = "system:kube-scheduler"
)

// nodeUser is the API server's user of a node's kubelet.
func nodeUser(node string) string { return "system:node:" + node }

// tokens are the users' secrets, by user.
type tokens map[string]string

// writeTokens gives every user a token and writes the file that the API server reads once.
func writeTokens(file string, nodes []string) (tokens, error) {
	groups := map[string]string{admin: "system:masters", manager: "", scheduler: ""}
	for _, node := range nodes {
		groups[nodeUser(node)] = "system:nodes"
	}
	all := tokens{}
	var text strings.Builder
	for user, group := range groups {
		all[user] = rand.Text()
		fmt.Fprintf(&text, "%s,%s,%s,%q\n", all[user], user, user, group)
	}
	return all, os.WriteFile(file, []byte(text.String()), 0o600)
}

// kubeconfig is what a client of the API server reads: where it is, whom it trusts and who it is.
func (p *ControlPlane) kubeconfig(host, user string) (string, error) {
	ca, err := os.ReadFile(filepath.Join(p.dir, caFile))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
  - name: lab
    cluster: {server: "https://%s:%d", certificate-authority-data: %s}
users:
  - name: user
    user: {token: %s}
contexts:
  - name: lab
    context: {cluster: lab, user: user}
current-context: lab
`, host, p.port, base64.StdEncoding.EncodeToString(ca), p.tokens[user]), nil
}

// writeKubeconfig writes a user's kubeconfig for the host's side.
func (p *ControlPlane) writeKubeconfig(file, user string) (string, error) {
	text, err := p.kubeconfig("127.0.0.1", user)
	if err != nil {
		return "", err
	}
	place := filepath.Join(p.dir, file)
	return place, os.WriteFile(place, []byte(text), 0o600)
}
