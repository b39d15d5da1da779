package hooks_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
)

func TestMemlockOfTheContainer(t *testing.T) {
	r := deviceRuntime(t, 1)
	one := pod("s1", "prod", "fast")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	const all = math.MaxUint64
	limit := func(kind string, soft, hard uint64) []*api.POSIXRlimit {
		return []*api.POSIXRlimit{{Type: kind, Soft: soft, Hard: hard}}
	}
	for _, c := range []struct {
		name    string
		limits  []*api.POSIXRlimit
		added   bool
		refusal string
	}{
		{"none", nil, true, ""},
		{"another", limit("RLIMIT_NOFILE", 1024, 1024), true, ""},
		{"unlimited", limit("RLIMIT_MEMLOCK", all, all), false, ""},
		{"soft limit", limit("RLIMIT_MEMLOCK", 8<<20, all), false, "the container has RLIMIT_MEMLOCK soft 8388608, hard 18446744073709551615 already"},
		{"no sense", limit("RLIMIT_MEMLOCK", all, 65536), false, "hard 65536 already"},
		{"hard limit", limit("RLIMIT_MEMLOCK", 65536, 65536), false, "other NRI plugins"},
	} {
		adjustment, err := r.createContainer(one, &api.Container{Name: "app", Rlimits: c.limits})
		if c.refusal != "" {
			if err == nil || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("%s: the refusal is %v", c.name, err)
			}
			continue
		}
		if err != nil || (len(adjustment.GetRlimits()) == 1) != c.added {
			t.Errorf("%s: %v, %v", c.name, adjustment.GetRlimits(), err)
		}
	}
}

// withHugepages gives the node a folder in the place of a hugetlbfs.
func (r *runtime) withHugepages() string {
	r.Helper()
	dir := r.TempDir()
	root, err := os.OpenRoot(dir)
	if err == nil {
		r.node.Hugepages, err = attach.HugepagesIn(dir, root)
	}
	if err != nil {
		r.Fatal(err)
	}
	return dir
}

func TestContainersGetHugepages(t *testing.T) {
	r := deviceRuntime(t, 2)
	dir := r.withHugepages()
	one := pod("s1", "prod", "[{network: fast, containers: [app]}, {network: verbs, containers: [verbs]}]")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	user := &api.User{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	for range 2 { // the second time it is a restart
		adjustment := r.must(one, &api.Container{Name: "app", User: user})
		mount := adjustment.GetMounts()[0]
		if want := dir + " bind bind,rw,nosuid,nodev"; !strings.HasSuffix(gifts(adjustment), "\n"+want) {
			t.Errorf("%s, wanted %s", gifts(adjustment), want)
		}
		if mount.Source != filepath.Join(dir, "nri-sriov/s1/app") {
			t.Errorf("the source is %s", mount.Source)
		}
		if info, err := os.Stat(mount.Source); err != nil || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("the folder is %v, %v", info.Mode(), err)
		}
	}
	for _, name := range []string{"verbs", "other"} {
		if text := gifts(r.must(one, &api.Container{Name: name})); strings.Contains(text, dir) {
			t.Errorf("container %s: %s", name, text)
		}
	}
}

func TestContainerNamesThatAreNoFileNames(t *testing.T) {
	r := deviceRuntime(t, 1)
	dir := r.withHugepages()
	one := pod("s1", "prod", "fast")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"..", "../s2", "a/b", "", strings.Repeat("a", 200)} {
		if _, err := r.create(one, name); err == nil || !strings.Contains(err.Error(), "is not fit for a file name") {
			t.Errorf("container name %q: %v", name, err)
		}
	}
	if made, err := filepath.Glob(dir + "/nri-sriov/*"); err != nil || len(made) != 0 {
		t.Errorf("made were %v, %v", made, err)
	}
}

func TestContainersWithHugepagesOfTheirOwn(t *testing.T) {
	r := deviceRuntime(t, 1)
	dir := r.withHugepages()
	one := pod("s1", "prod", "fast")
	if err := r.run(one); err != nil {
		t.Fatal(err)
	}
	const volume = "/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/huge"
	for _, c := range []struct {
		name  string
		mount *api.Mount
		limit uint64
		given bool
	}{
		{"the same place", &api.Mount{Destination: dir + "/", Type: "bind"}, 0, false},
		{"above", &api.Mount{Destination: filepath.Dir(dir), Type: "bind"}, 0, false},
		{"below", &api.Mount{Destination: dir + "/2M", Type: "bind"}, 0, false},
		{"hugetlbfs", &api.Mount{Destination: "/huge", Type: "hugetlbfs"}, 0, false},
		{"volume with a limit", &api.Mount{Destination: "/huge", Type: "bind", Source: volume}, 1 << 30, false},
		{"volume without a limit", &api.Mount{Destination: "/huge", Type: "bind", Source: volume}, 0, true},
		{"a limit alone", &api.Mount{Destination: "/data", Type: "bind", Source: "/data"}, 1 << 30, true},
		{"the runtime's tmpfs", &api.Mount{Destination: filepath.Dir(dir), Type: "tmpfs"}, 0, true},
		{"beside", &api.Mount{Destination: dir + "-1G", Type: "bind"}, 0, true},
	} {
		adjustment := r.must(one, &api.Container{Name: "app", Mounts: []*api.Mount{c.mount}, Linux: &api.LinuxContainer{
			Resources: &api.LinuxResources{HugepageLimits: []*api.HugepageLimit{{PageSize: "1GB"}, {PageSize: "2MB", Limit: c.limit}}},
		}})
		if got := strings.Contains(gifts(adjustment), dir); got != c.given {
			t.Errorf("%s: %s", c.name, gifts(adjustment))
		}
	}
}
