package hooks_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
)

const deviceConfig = `
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - {name: public}
  - {name: fast, device: vfio, allow: [mac, ips], subnets: ["192.0.2.0/24"], mtu: 9000, routes: [{dst: "198.51.100.0/24", gw: "192.0.2.1"}]}
  - {name: verbs, rdma: true}
  - {name: tap, vhostNet: true}
`

// deviceRuntime is a runtime on a node with networks that have device nodes. The node's Given is the test's to replace
// before the first pod.
func deviceRuntime(t *testing.T, vfs int) *runtime {
	t.Helper()
	r := newRuntime(t, attachtest.NewWorld(1, vfs), nil, false)
	node, err := config.Parse("test.yaml", []byte(deviceConfig))
	if err != nil {
		t.Fatal(err)
	}
	r.node.Config, r.node.Given = node, given
	r.plugin.Start(r.node)
	return r
}

// given makes up a kernel: VF n is in the group 20+n, and has the number n among its kind.
func given(one attach.Attachment) (attach.Given, error) {
	n := int64(one.Address.Function)
	node := func(path string, major, minor int64) dpdk.Node {
		return dpdk.Node{Path: path, HostPath: path, Type: 'c', Major: major, Minor: minor}
	}
	g := attach.Given{IOMMUGroup: 20 + int(n)}
	switch {
	case one.Device == config.DeviceVFIO:
		g.Nodes = append(g.Nodes, node("/dev/vfio/vfio", 10, 196), node(fmt.Sprintf("/dev/vfio/%d", 20+n), 240, n))
	case one.RDMA:
		g.Nodes = append(g.Nodes, node(fmt.Sprintf("/dev/infiniband/uverbs%d", n), 231, 192+n), node("/dev/infiniband/rdma_cm", 10, 58))
	case one.VhostNet:
		g.Nodes = append(g.Nodes, node("/dev/vhost-net", 10, 238), node("/dev/net/tun", 10, 200))
	default:
		return g, errors.New("nobody may ask for the nodes of a plain netdev")
	}
	return g, nil
}

// gifts writes down what an adjustment gives beside what is told: devices, limits, mounts.
func gifts(adjustment *api.ContainerAdjustment) string {
	var lines []string
	for _, d := range adjustment.GetLinux().GetDevices() {
		owner := "nobody's"
		if d.Uid != nil {
			owner = fmt.Sprintf("%d:%d", d.GetUid().GetValue(), d.GetGid().GetValue())
		}
		lines = append(lines, fmt.Sprintf("%s %s %d:%d %04o %s", d.Path, d.Type, d.Major, d.Minor, d.GetFileMode().GetValue(), owner))
	}
	for _, l := range adjustment.GetRlimits() {
		lines = append(lines, fmt.Sprintf("%s %d %d", l.Type, l.Soft, l.Hard))
	}
	for _, m := range adjustment.GetMounts() {
		if m.Destination != "/run/nri-sriov/networks.json" {
			lines = append(lines, fmt.Sprintf("%s %s %s", m.Destination, m.Type, strings.Join(m.Options, ",")))
		}
	}
	return strings.Join(lines, "\n")
}

// must runs a pod and creates a container in it.
func (r *runtime) must(pod *api.PodSandbox, container *api.Container) *api.ContainerAdjustment {
	r.Helper()
	adjustment, err := r.createContainer(pod, container)
	if err != nil {
		r.Fatal(err)
	}
	return adjustment
}

const unlimitedMemlock = "\nRLIMIT_MEMLOCK 18446744073709551615 18446744073709551615"

// TestContainersGetTheirOwnDevices: two containers of one pod have a VF each, and none of the other's nodes.
func TestContainersGetTheirOwnDevices(t *testing.T) {
	r := deviceRuntime(t, 4)
	one := pod("s1", "prod", `[{network: fast, containers: [left]}, {network: fast, containers: [right, both]},
		{network: fast, containers: [both]}, {network: public, containers: [plain]}]`)
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	user := &api.User{Uid: 1000, Gid: 2000}
	for _, c := range []struct {
		name string
		user *api.User
		want string
	}{
		{"left", user, "/dev/vfio/vfio c 10:196 0600 1000:2000\n/dev/vfio/20 c 240:0 0600 1000:2000" + unlimitedMemlock},
		{"right", nil, "/dev/vfio/vfio c 10:196 0666 nobody's\n/dev/vfio/21 c 240:1 0666 nobody's" + unlimitedMemlock},
		{"both", &api.User{}, "/dev/vfio/vfio c 10:196 0600 0:0\n/dev/vfio/21 c 240:1 0600 0:0\n/dev/vfio/22 c 240:2 0600 0:0" + unlimitedMemlock},
		{"plain", user, ""},
		{"none", user, ""},
	} {
		adjustment := r.must(one, &api.Container{Name: c.name, User: c.user})
		if diff := cmp.Diff(c.want, gifts(adjustment)); diff != "" {
			t.Errorf("container %s: %s", c.name, diff)
		}
		var told []string
		for _, network := range readNetworks(t, adjustment.GetMounts()[0].Source).Networks {
			told = append(told, network.DeviceNodes...)
			if (network.Network == "fast") != (network.Device == "vfio") {
				t.Errorf("container %s is told %+v", c.name, network)
			}
		}
		for _, d := range adjustment.GetLinux().GetDevices() {
			if !slices.Contains(told, d.Path) {
				t.Errorf("container %s has %s and is told of %v", c.name, d.Path, told)
			}
		}
	}
}

func TestNetdevsWithDeviceNodes(t *testing.T) {
	r := deviceRuntime(t, 3)
	one := pod("s1", "prod", `[{network: verbs, containers: [verbs]}, {network: tap, containers: [tap]}]`)
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"verbs": "/dev/infiniband/uverbs0 c 231:192 0666 nobody's\n/dev/infiniband/rdma_cm c 10:58 0666 nobody's" + unlimitedMemlock,
		"tap":   "/dev/vhost-net c 10:238 0666 nobody's\n/dev/net/tun c 10:200 0666 nobody's",
	} {
		if diff := cmp.Diff(want, gifts(r.must(one, &api.Container{Name: name}))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestNodesAreLookedUpForTheContainer: not before, and each time anew.
func TestNodesAreLookedUpForTheContainer(t *testing.T) {
	r := deviceRuntime(t, 1)
	minor := int64(0)
	r.node.Given = func(one attach.Attachment) (attach.Given, error) {
		minor++
		g, err := given(one)
		g.IOMMUGroup, g.Nodes[1].Minor = 70, minor
		return g, err
	}
	one := pod("s1", "prod", "fast")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	if minor != 0 {
		t.Error("the sandbox has asked for nodes")
	}
	for want := range int64(2) {
		adjustment := r.must(one, &api.Container{Name: "app"})
		if got := adjustment.GetLinux().GetDevices()[1].Minor; got != want+1 {
			t.Errorf("the minor number is %d, wanted %d", got, want+1)
		}
		if network := readNetworks(t, adjustment.GetMounts()[0].Source).Networks[0]; network.IOMMUGroup == nil || *network.IOMMUGroup != 70 {
			t.Errorf("iommuGroup: %v", network.IOMMUGroup)
		}
	}
}

// TestDevicesAndMountsOfTheContainer: what a container has already is left alone, unless it stands in the way.
func TestDevicesAndMountsOfTheContainer(t *testing.T) {
	r := deviceRuntime(t, 1)
	one := pod("s1", "prod", "fast")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	group := func(path, kind string, major, minor int64) *api.LinuxDevice {
		return &api.LinuxDevice{Path: path, Type: kind, Major: major, Minor: minor}
	}
	mount := func(destination, kind string) *api.Mount {
		return &api.Mount{Destination: destination, Type: kind, Source: "/somewhere"}
	}
	const vfio, group20 = "/dev/vfio/vfio c 10:196 0666 nobody's", "/dev/vfio/20 c 240:0 0666 nobody's"
	for _, c := range []struct {
		name    string
		devices []*api.LinuxDevice
		mounts  []*api.Mount
		// want are the nodes; refusal is in the error, where there is to be one.
		want, refusal string
	}{
		{name: "same", devices: []*api.LinuxDevice{group("/dev/vfio/20", "c", 240, 0)}, want: vfio},
		{name: "same, not clean", devices: []*api.LinuxDevice{group("/dev//vfio/./20", "c", 240, 0)}, want: vfio},
		{name: "same number elsewhere", devices: []*api.LinuxDevice{group("/dev/mine", "c", 240, 0)}, want: vfio + "\n" + group20},
		{name: "all of a privileged container", devices: []*api.LinuxDevice{group("/dev/vfio/20", "c", 240, 0), group("/dev/vfio/vfio", "c", 10, 196)},
			mounts: []*api.Mount{mount("/dev", "bind")}},
		{name: "other minor", devices: []*api.LinuxDevice{group("/dev/vfio/20", "c", 240, 7)},
			refusal: `network "fast": the container has a device /dev/vfio/20 of its own with the number c 240:7, and the kernel's has c 240:0 now`},
		{name: "other major", devices: []*api.LinuxDevice{group("/dev/vfio/20", "c", 239, 0)}, refusal: "c 239:0"},
		{name: "other type", devices: []*api.LinuxDevice{group("/dev/vfio/20", "b", 240, 0)}, refusal: "b 240:0"},
		{name: "the runtime's mounts", mounts: []*api.Mount{mount("/dev", "tmpfs"), mount("/dev/pts", "devpts"), mount("/dev/shm", "bind"),
			mount("/dev/mqueue", "mqueue"), mount("/dev/termination-log", "bind")}, want: vfio + "\n" + group20},
		{name: "beside", mounts: []*api.Mount{mount("/dev/vfio/2", "bind"), mount("/dev/vf", "bind")}, want: vfio + "\n" + group20},
		{name: "mount of /dev", mounts: []*api.Mount{mount("/dev", "bind")},
			refusal: `network "fast": the container has a mount of its own at "/dev" (from "/somewhere"), where the device node /dev/vfio/vfio is to be made`},
		{name: "mount of /dev/vfio", mounts: []*api.Mount{mount("/dev/pts/../vfio/", "bind")}, refusal: "/dev/vfio/vfio is to be made"},
		{name: "mount of the node", mounts: []*api.Mount{mount("/dev/vfio/20", "bind")}, refusal: "/dev/vfio/20 is to be made"},
		{name: "mount of /", mounts: []*api.Mount{mount("/", "bind")}, refusal: "/dev/vfio/vfio is to be made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			adjustment, err := r.createContainer(one, &api.Container{Name: "app", Linux: &api.LinuxContainer{Devices: c.devices}, Mounts: c.mounts})
			if c.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), c.refusal) {
					t.Fatalf("the refusal is %v, wanted %q in it", err, c.refusal)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(c.want+unlimitedMemlock, "\n"), gifts(adjustment)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoNodesNoContainer: a container that would lack a node is held back.
func TestNoNodesNoContainer(t *testing.T) {
	r := deviceRuntime(t, 1)
	one := pod("s1", "prod", "fast")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		given func(attach.Attachment) (attach.Given, error)
		want  string
	}{
		"unreadable": {func(attach.Attachment) (attach.Given, error) { return attach.Given{}, os.ErrPermission }, "permission denied"},
		"none":       {func(attach.Attachment) (attach.Given, error) { return attach.Given{}, nil }, "has no device nodes for user space"},
		"nobody":     {nil, `network "fast": the daemon has no way to the device nodes`},
	} {
		r.node.Given = c.given
		if _, err := r.create(one, "app"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the refusal is %v", name, err)
		}
		if _, err := r.create(one, "app"); err == nil {
			t.Errorf("%s: the second try went through", name)
		}
	}
}

func TestSandboxesThatCannotHaveDevices(t *testing.T) {
	r := deviceRuntime(t, 2)
	gvisor, kata := pod("s1", "prod", "fast"), pod("s2", "prod", "fast")
	gvisor.RuntimeHandler, kata.RuntimeHandler = "runsc", "kata-qemu"
	users := pod("s3", "prod", "fast")
	users.Linux.Namespaces = append(users.Linux.Namespaces, &api.LinuxNamespace{Type: "user"})
	mixed := pod("s4", "prod", "fast, public")
	mixed.Linux.Namespaces = nil
	for want, one := range map[string]*api.PodSandbox{
		`network "fast": runtime handler "runsc" (gVisor)`:   gvisor,
		`network "fast": runtime handler "kata-qemu" (Kata)`: kata,
		"hostUsers: true": users,
		`network "public": a host-network pod has no network namespace`: mixed,
	} {
		if err := r.run(one); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the refusal is %v, wanted %q in it", err, want)
		}
	}
	if r.free() != 2 {
		t.Errorf("%d VFs are free after the refusals", r.free())
	}
	// A runtime that tells of the user namespace with the container only.
	late := pod("s5", "prod", "fast")
	if err := r.run(late); err != nil {
		t.Fatal(err)
	}
	container := &api.Container{Name: "app", Linux: &api.LinuxContainer{Namespaces: []*api.LinuxNamespace{{Type: "user", Path: "/proc/1/ns/user"}}}}
	if _, err := r.createContainer(late, container); err == nil || !strings.Contains(err.Error(), "hostUsers: true") {
		t.Errorf("the refusal is %v", err)
	}
	// What the kernel opens to all is of use in a user namespace, too.
	verbs := pod("s6", "prod", "verbs")
	verbs.Linux.Namespaces = append(verbs.Linux.Namespaces, &api.LinuxNamespace{Type: "user"})
	if err := r.run(verbs); err != nil {
		t.Error(err)
	}
}

func TestHostNetworkPodGetsVFIODevices(t *testing.T) {
	r := deviceRuntime(t, 1)
	one := pod("s1", "prod", "fast")
	one.Linux.Namespaces, one.Pid = nil, uint32(os.Getpid())
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	want := "/dev/vfio/vfio c 10:196 0666 nobody's\n/dev/vfio/20 c 240:0 0666 nobody's" + unlimitedMemlock
	if diff := cmp.Diff(want, gifts(r.must(one, &api.Container{Name: "app"}))); diff != "" {
		t.Error(diff)
	}
}
