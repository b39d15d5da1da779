package hooks_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
)

func TestPodGetsItsVF(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 2), nil, true)
	one := pod("s1", "prod", `[{network: public, mac: "02:00:00:00:00:11", ips: ["192.0.2.10/24"]}, {network: fixed, containers: [other]}]`)
	one.Namespace = "prod"
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	adjustment, err := r.create(one, "app")
	if err != nil {
		t.Fatal(err)
	}
	if len(adjustment.GetMounts()) != 1 {
		t.Fatalf("mounts: %v", adjustment.GetMounts())
	}
	mount := adjustment.GetMounts()[0]
	if mount.Destination != hooks.NetworksPath || !strings.Contains(strings.Join(mount.Options, ","), "ro") {
		t.Errorf("mount: %v", mount)
	}
	env := map[string]string{}
	for _, each := range adjustment.GetEnv() {
		env[each.Key] = each.Value
	}
	wanted := map[string]string{"NRI_SRIOV_NETWORKS": "/run/nri-sriov/networks.json", "PCIDEVICE_SRIOV_NRI_IO_PUBLIC": "0000:01:10.0"}
	if diff := cmp.Diff(wanted, env); diff != "" {
		t.Error(diff)
	}
	networks := readNetworks(t, mount.Source)
	if len(networks.Networks) != 1 {
		t.Fatalf("the container sees %d networks, one is its own", len(networks.Networks))
	}
	got := networks.Networks[0]
	if got.Interface != "net1" || got.VLAN.ID != 100 || got.IPs[0].String() != "192.0.2.10/24" || got.PF != "pf0" {
		t.Errorf("networks.json: %+v", got)
	}
	if other, err := r.create(one, "other"); err != nil || len(readNetworks(t, other.GetMounts()[0].Source).Networks) != 2 {
		t.Errorf("the other container: %v, %v", other, err)
	}
	r.end(one)
	r.eventuallyFree(2)
	for range 500 { // it goes a moment after the VF is free
		if _, err = os.Stat(mount.Source); errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("networks.json of an ended pod: %v", err)
	}
}

func (r *runtime) end(pod *api.PodSandbox) {
	r.Helper()
	if err := r.StopPodSandbox(r.Context(), &adaptation.StopPodSandboxRequest{Pod: pod}); err != nil {
		r.Error(err)
	}
	if err := r.RemovePodSandbox(r.Context(), &adaptation.RemovePodSandboxRequest{Pod: pod}); err != nil {
		r.Error(err)
	}
}

func readNetworks(t *testing.T, path string) hooks.Networks {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var networks hooks.Networks
	if err := json.Unmarshal(text, &networks); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return networks
}

func TestPodWithoutAnnotationIsLeftAlone(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	one := pod("s1", "prod", "")
	one.Annotations = nil
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	if adjustment, err := r.create(one, "app"); err != nil || len(adjustment.GetMounts())+len(adjustment.GetEnv()) != 0 {
		t.Errorf("adjustment: %v, %v", adjustment, err)
	}
	r.end(one)
}

// TestRefusals: each bad request fails the pod with one sentence, and nothing is claimed.
func TestRefusals(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(2, 1), nil, true)
	list := `sriov.nri.io/networks: `
	for _, c := range []struct{ name, networks, want string }{
		{"broken YAML", `[{network: public`, "not YAML"},
		{"unknown key", `[{network: public, vlan: 5}]`, `"vlan"`},
		{"unknown network", `private`, `network "private": the node does not define it; namespace "prod" may use fixed, public`},
		{"namespace", `team-net.b`, `network "team-net.b": namespace "prod" may not use it`},
		{"long name", `public@abcdefghijklmnop`, list},
		{"slash", `public@a/b`, list}, {"percent", `public@a%d`, list}, {"space", `[{network: public, name: "a b"}]`, list},
		{"lo", `public@lo`, list}, {"eth0", `public@eth0`, list}, {"dot", `public@.`, list},
		{"twice", `public@a,public@a`, list},
		{"multicast MAC", `[{network: public, mac: "03:00:00:00:00:11"}]`, "multicast"},
		{"MAC outside prefix", `[{network: public, mac: "06:00:00:00:00:11"}]`, "02:00:00"},
		{"MAC not allowed", `[{network: fixed, mac: "02:00:00:00:00:11"}]`, `lacks "mac"`},
		{"IP outside", `[{network: public, ips: ["198.51.100.1/24"]}]`, "192.0.2.0/24"},
		{"too many VFs of one PF", `[{network: public, count: 2}]`, `network "public": no VF free: pf0 offers 1 of the 2 VFs that one PF must serve; pf1 offers 1`},
		{"too many VFs", `public,public,public`, "all together could not"},
		{"large", "[" + strings.Repeat(" ", 20<<10) + "]", "16384"},
		{"count 0", `[{network: public, count: 0}]`, "count"}, {"count -1", `[{network: public, count: -1}]`, "count"},
		{"static addresses twice", `[{network: fixed, count: 2}]`, "only one VF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := r.run(pod("s-"+strings.ReplaceAll(c.name, " ", "-"), "prod", c.networks))
			if err == nil {
				t.Fatal("the pod was not refused")
			}
			if text := err.Error(); !strings.Contains(text, "nri-sriov: pod prod/web: ") || !strings.Contains(text, c.want) || strings.Contains(text, "\n") {
				t.Errorf("the refusal is %q, wanted %q in it", text, c.want)
			}
			if r.free() != 2 {
				t.Errorf("%d VFs are free after a refusal", r.free())
			}
		})
	}
}

func TestSandboxesThatCannotHaveInterfaces(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	host := pod("s1", "prod", "public")
	host.Linux.Namespaces = nil
	gvisor := pod("s2", "prod", "public")
	gvisor.RuntimeHandler = "runsc"
	kata := pod("s3", "prod", "public")
	kata.RuntimeHandler = "kata-qemu"
	for want, one := range map[string]*api.PodSandbox{"host-network": host, "gVisor": gvisor, "Kata": kata} {
		if err := r.run(one); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the refusal of %s is %v", want, err)
		}
	}
}

func TestGateHoldsContainersBack(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	release := r.world.Hold()
	one := pod("s1", "prod", "public")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, err := r.create(one, "app")
	if err == nil || !strings.Contains(err.Error(), "nri-sriov: pod prod/web: still at work: net1 attaching (0000:01:10.0)") {
		t.Fatalf("the gate says %v", err)
	}
	if took := time.Since(begun); took < time.Second || took > 1900*time.Millisecond {
		t.Errorf("the gate took %s of the 2 s that the runtime allows", took)
	}
	release()
	if _, err := r.create(one, "app"); err != nil {
		t.Fatal(err)
	}
}

// TestGateAttachesWhatRanUnseen: the sandbox ran while the daemon was away.
func TestGateAttachesWhatRanUnseen(t *testing.T) {
	r := newRuntime(t, attachtest.NewWorld(1, 1), nil, true)
	if adjustment, err := r.create(pod("s1", "prod", "public"), "app"); err != nil || len(adjustment.GetMounts()) != 1 {
		t.Fatalf("adjustment: %v, %v", adjustment, err)
	}
}

func TestNodeThatIsNotReadyRefuses(t *testing.T) {
	running := pod("old", "prod", "public")
	r := newRuntime(t, attachtest.NewWorld(1, 2), []*api.PodSandbox{running}, false)
	if err := r.run(pod("s1", "prod", "public")); err == nil || !strings.Contains(err.Error(), "still starting") {
		t.Errorf("the refusal is %v", err)
	}
	if _, err := r.create(running, "app"); err == nil {
		t.Error("a container was let through")
	}
	r.plugin.Start(r.node)
	if _, err := r.create(running, "app"); err != nil {
		t.Error(err)
	}
	if r.free() != 1 {
		t.Errorf("%d VFs are free after the late attach", r.free())
	}
}
