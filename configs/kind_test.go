package configs

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// kindCluster is what kind.x-k8s.io/v1alpha4 has of what is used here: https://kind.sigs.k8s.io/docs/user/configuration/
type kindCluster struct {
	Kind                    string   `json:"kind"`
	APIVersion              string   `json:"apiVersion"`
	ContainerdConfigPatches []string `json:"containerdConfigPatches"`
	Nodes                   []struct {
		Role        string `json:"role"`
		ExtraMounts []struct {
			HostPath      string `json:"hostPath"`
			ContainerPath string `json:"containerPath"`
			ReadOnly      bool   `json:"readOnly"`
		} `json:"extraMounts"`
	} `json:"nodes"`
}

func TestKindCluster(t *testing.T) {
	text, err := os.ReadFile("kind/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cluster kindCluster
	if err := yaml.UnmarshalStrict(text, &cluster); err != nil {
		t.Fatal(err)
	}
	if cluster.Kind != "Cluster" || cluster.APIVersion != "kind.x-k8s.io/v1alpha4" || !strings.Contains(cluster.ContainerdConfigPatches[0], "disable = false") {
		t.Errorf("is %+v", cluster)
	}
	var mounts []string
	for _, mount := range cluster.Nodes[1].ExtraMounts {
		mounts = append(mounts, fmt.Sprint(mount.HostPath, " ", mount.ContainerPath, " ", mount.ReadOnly))
	}
	if text := strings.Join(mounts, "; "); text != "/dev/vfio /dev/vfio false; /dev/hugepages /dev/hugepages false; /lib/modules /lib/modules true" {
		t.Errorf("the worker has %s", text)
	}
}

// script runs move-pf.sh in a machine of its own: a network namespace with a sysfs that shows it, in which a first command
// makes interfaces and $node is a process in another namespace.
func script(t *testing.T, commands string) (output string, err error) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`set -eu
mount -t sysfs sysfs /sys
unshare --net sleep 60 & node=$!
trap 'kill $node' EXIT
while [ "$(readlink /proc/$node/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
move() { sh %s/kind/move-pf.sh "$@"; }
in_node() { nsenter --target $node --net -- "$@"; }
%s
`, here, commands)
	answer, err := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", "sh", "-c", text).CombinedOutput()
	return string(answer), err
}

// TestMovePF: there and back; what the machine uses, or what is not there, is refused and nothing moves.
func TestMovePF(t *testing.T) {
	vftest.InPrivateNamespace(t, func() {}) // skips, or fails, without root
	const pf = "ip link add pf0 type veth peer name wire0\n"
	for name, c := range map[string]struct {
		commands, says string
		fails          bool
	}{
		"sysfs is opened": {pf + "mount -o remount,ro /sys; move into $node pf0; grep ' /sys sysfs rw' /proc/mounts", "/sys sysfs rw", false},
		"below another":   {pf + "ip link add link pf0 name mac0 type macvlan; move into $node pf0", "pf0 is below mac0", true},
		"there and back": {pf + "move into $node pf0; in_node ip link show dev pf0 | grep -q UP; ! ip link show dev pf0 2>/dev/null\n" +
			"move back $node pf0; ip link show dev pf0 >/dev/null; ! in_node ip link show dev pf0 2>/dev/null; echo whole", "whole", false},
		"an address":    {pf + "ip address add 192.0.2.1/24 dev pf0; ! move into $node pf0; ip link show dev pf0 >/dev/null; echo stays; exit 1", "pf0 has an address", true},
		"a bridge port": {pf + "ip link add br0 type bridge; ip link set dev pf0 master br0; move into $node pf0", "pf0 is a port of br0", true},
		"default route": {pf + "ip link set dev pf0 up; ip route add default dev pf0; move into $node pf0", "pf0 carries the default route", true},
		"none":          {"move into $node pf0", "there is no interface pf0 here", true},
		"own namespace": {pf + "move into $$ pf0", "in this very network namespace", true},
		"not there":     {pf + "move back $node pf0", "has no interface pf0", true},
		"a bad name":    {"move into $node 'x; reboot'", "is not the name of an interface", true},
		"misuse":        {"move away $node pf0", "move-pf.sh into NODE PF", true},
	} {
		t.Run(name, func(t *testing.T) {
			output, err := script(t, c.commands)
			if (err != nil) != c.fails || !strings.Contains(output, c.says) {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}
