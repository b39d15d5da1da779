package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// kubernetesFlags tell whether and how the daemon works in a cluster. check makes them complete.
type kubernetesFlags struct {
	// Enabled is what --kubernetes says. Without the flag it is on by itself in a cluster, which a container in a pod
	// sees by the service account that the kubelet has put into it, and with --kubeconfig.
	Enabled bool
	// Kubeconfig is the file with the way to the API server; empty is the service account of the daemon's own pod.
	Kubeconfig string
	// NodeName is the name of this machine's Node object: --node-name, else the host's name as the kubelet makes it.
	NodeName string
	// KubeletDir is the kubelet's root folder, in which its sockets are.
	KubeletDir string

	given func(flag string) bool
}

const (
	defaultKubeletDir = "/var/lib/kubelet"
	// serviceAccount is where the kubelet puts the credentials of a pod.
	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"
)

// nodeNameForm is that of a DNS subdomain, which Kubernetes wants.
var nodeNameForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// add adds the flags to those of run.
func (k *kubernetesFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&k.Enabled, "kubernetes", false, "work in a cluster: device plugin, network-status, Events; on by itself in a pod and with --kubeconfig")
	flags.StringVar(&k.Kubeconfig, "kubeconfig", "", "the way to the API server; without it, that of the daemon's own pod")
	flags.StringVar(&k.NodeName, "node-name", "", "the name of this machine's Node object (default: the host name)")
	flags.StringVar(&k.KubeletDir, "kubelet-dir", defaultKubeletDir, "the kubelet's root folder, with its sockets")
	k.given = flags.Changed
}

// check decides what was left open; lookup reads environment variables, exists tells of files. Enabled is true afterwards
// when the flag says so or, without it, with --kubeconfig or in a pod of a cluster. --kubernetes=false turns it off in a pod.
func (k *kubernetesFlags) check(lookup func(string) string, exists func(string) bool) error {
	inCluster := lookup("KUBERNETES_SERVICE_HOST") != "" && exists(serviceAccount)
	switch {
	case !k.given("kubernetes"):
		k.Enabled = inCluster || k.Kubeconfig != ""
	case !k.Enabled && k.Kubeconfig != "":
		return errors.New("--kubernetes=false and --kubeconfig contradict each other: leave one away")
	}
	if !filepath.IsAbs(k.KubeletDir) {
		return fmt.Errorf("--kubelet-dir %q is not an absolute path", k.KubeletDir)
	}
	if !k.Enabled {
		return nil
	}
	if k.NodeName == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("the host's name, for want of --node-name: %w", err)
		}
		k.NodeName = strings.ToLower(strings.TrimSpace(name)) // as the kubelet does
	}
	if len(k.NodeName) > 253 || !nodeNameForm.MatchString(k.NodeName) {
		return fmt.Errorf("--node-name %q is not the name of a node", k.NodeName)
	}
	return nil
}

// configHere is the config that subcommands read without --config. In the daemon's own pod that is the file of its node, where
// the ConfigMap has one.
func configHere() string {
	if node := os.Getenv("NODE_NAME"); nodeNameForm.MatchString(node) {
		if own := filepath.Join(filepath.Dir(defaultConfig), node+".yaml"); fileExists(own) {
			return own
		}
	}
	return defaultConfig
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
