package hooks

import "testing"

func TestRuntimesThatLeakRefusedSandboxes(t *testing.T) {
	for _, c := range []struct {
		runtime, version string
		leaks            bool
	}{
		{"containerd", "1.7.35", false}, {"containerd", "1.7.35~ds1", false}, {"containerd", "1.7.28-0ubuntu1~22.04.1", false},
		{"containerd", "v2.0.0", true}, {"containerd", "2.0.0-beta.0", true}, {"containerd", "v2.0.14", true}, {"containerd", "2.1.9", true},
		{"containerd", "v2.2.0-rc.1", true}, {"containerd", "2.2.5", true}, {"containerd", "2.2.5+unknown", true}, {"containerd", "v2.2.5-12-g0123abc.m", true},
		{"containerd", "2.1.4-k3s2", true}, {"containerd", "2.2.5~ds2-1", true}, {"containerd", "v2.2.5.m", true},
		{"containerd", "2.2.6-rc.1", true}, {"containerd", "2.2.6~rc.1", true}, {"containerd", "2.2.6", false}, {"containerd", "2.2.6-0ubuntu1", false}, {"containerd", "2.2.8", false}, {"containerd", "2.2.10", false},
		{"containerd", "v2.3.0-rc.0", true}, {"containerd", "2.3.0", true}, {"containerd", "v2.3.2", true}, {"containerd", "2.3.3", false}, {"containerd", "2.3.3-beta.0", true}, {"containerd", "2.3.3+rc", false},
		{"containerd", "2.4.0-rc.0", false}, {"containerd", "2.4.2+unknown", false}, {"containerd", "3.0.0", false}, {"containerd", "2.10.1", false},
		{"cri-o", "2.2.5", false}, {"Containerd", "2.2.5", false}, {"", "2.2.5", false},
		{"containerd", "", false}, {"containerd", "2.2", false}, {"containerd", "2.2.5.1", false}, {"containerd", "02.2.5", false}, {"containerd", "2.2.x", false}, {"containerd", " 2.2.5", false},
		{"containerd", "2.2.5\n", false}, {"containerd", "2.2.5-", false}, {"containerd", "2.2.99999999999999999999", false}, {"containerd", "0123abc.m", false}, {"containerd", "unknown", false}, {"containerd", "2.-2.5", false},
	} {
		if got := leaksRefused(c.runtime, c.version); got != c.leaks {
			t.Errorf("%s %q leaks refused sandboxes: %t, wanted %t", c.runtime, c.version, got, c.leaks)
		}
	}
}
