// Package e2e drives nri-sriov as its users do, on real VFs with a real containerd, in a guest of the lab. It imports
// nothing of pkg.
package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// program is built once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "nri-sriov-e2e-")
	if err != nil {
		return "", err
	}
	return daemon.Build(context.Background(), dir)
})

// long tells whether the tests that take long are wanted.
func long() bool { return os.Getenv("NRI_SRIOV_LAB_LONG") != "" }

// nodeConfig is the config of the tests, but where one has its own.
const nodeConfig = `apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - name: public
    vlan: {id: 100}
    allow: [mac, ips]
  - name: other
    vlan: {id: 200}
    allow: [ips]
  - name: plain
  - name: left
    required: [CUSTOM_LEFT]
    allow: [ips]
  - name: fixed
    ipam: {type: static, addresses: [{address: 192.0.2.77/24, gateway: 192.0.2.1}], routes: [{dst: 198.51.100.0/24}]}
    mtu: 1400
  - name: private
    namespaces: ["team-*"]
providers:
  - {pf: pf0, traits: [CUSTOM_LEFT]}
  - {pf: pf1, traits: [CUSTOM_RIGHT]}
`

// bench is a guest with containerd and the daemon, for one suite of tests.
type bench struct {
	*lab.Guest
	*daemon.Daemon
	containerd *lab.Containerd
	cri        *lab.CRI
}

// boot boots a guest with the program installed; nothing runs in it yet.
func boot(t *testing.T, options lab.Options) *bench {
	t.Helper()
	return bootWith(t, options, program)
}

func bootWith(t *testing.T, options lab.Options, program func() (string, error)) *bench {
	t.Helper()
	guest := lab.Start(t, options)
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Install(t.Context(), guest, path)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Guest: guest, Daemon: d}
}

// fresh starts a containerd with nothing in it and the daemon, and ends both with the test.
func (b *bench) fresh(t *testing.T, options lab.ContainerdOptions) *subject {
	t.Helper()
	s := b.runtime(t, options)
	s.start()
	return s
}

// start starts the daemon with nothing remembered, and ends it with the test. At the end every VF must be back, clean
// and under its own name.
func (s *subject) start() {
	s.T.Helper()
	s.shell("rm -rf /var/lib/nri-sriov /run/nri-sriov")
	s.before = s.state()
	s.must(s.Configure(s.T.Context(), cmp.Or(s.config, nodeConfig)))
	s.must(s.Daemon.Start(s.T.Context()))
	s.T.Cleanup(func() {
		s.removeAll()
		s.clean()
		if code, err := s.Daemon.Stop(s.ctx()); err != nil || code != 0 {
			s.T.Errorf("the daemon ends with %d, %v", code, err)
		}
	})
}

// runtime starts a containerd with nothing in it, and ends it with the test.
func (b *bench) runtime(t *testing.T, options lab.ContainerdOptions) *subject {
	t.Helper()
	s := &subject{bench: &bench{Guest: b.Guest, Daemon: b.Daemon}, T: t}
	var err error
	if s.containerd, err = b.Guest.StartContainerd(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	s.cri = s.containerd.CRI()
	t.Cleanup(func() {
		if err := s.containerd.Stop(s.ctx()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// subject is a bench in the hands of one test.
type subject struct {
	*bench
	*testing.T
	pods []string
	// config is the node's, nodeConfig when it is empty.
	config string
	// before is the state of the VFs before the test.
	before string
	// keep is a sandbox that goes on and keeps its VF.
	keep string
	// newVFs tells that the test's VFs are created anew, and have other addresses than before.
	newVFs bool
}

// ctx outlives the test, for what is to be ended after it.
func (s *subject) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.T.Context()), 5*time.Minute)
	s.T.Cleanup(cancel)
	return ctx
}

func (s *subject) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

func (s *subject) shell(format string, args ...any) string {
	s.T.Helper()
	script := format
	if len(args) > 0 {
		script = fmt.Sprintf(format, args...)
	}
	output, err := s.Guest.Shell(s.ctx(), script)
	if err != nil {
		s.T.Fatal(err)
	}
	return strings.TrimSpace(output.Stdout)
}

// state draws what the kernel has of PFs and VFs in the host: what the PF has set for each VF, and each VF's name, MAC,
// MTU and whether it is up. It is compared as text.
func (s *subject) state() string {
	s.T.Helper()
	state := s.shell(`
for pf in $(cd /sys/class/net; ls -d pf?); do
	ip link show $pf | grep -o 'vf .*' | sed 's/ *$//' | sed "s/^/$pf /"
	for vf in /sys/class/net/$pf/device/virtfn*; do
		name=$(ls $vf/net 2>/dev/null) || name=
		if [ -z "$name" ]; then echo "$(basename $(readlink $vf)) is away, driver $(basename $(readlink $vf/driver))"; continue; fi
		flags=$(cat /sys/class/net/$name/flags)
		echo "$(basename $(readlink $vf)) $name $(cat /sys/class/net/$name/address) mtu $(cat /sys/class/net/$name/mtu) up $((flags & 1)) promisc $(((flags>>8)&1))"
	done
done`)
	state = withoutOwnMACs(state)
	if s.newVFs {
		state = regexp.MustCompile(`([[:xdigit:]]{2}:){5}[[:xdigit:]]{2}`).ReplaceAllString(state, "MAC")
	}
	return state
}

// igb reports the address that a VF has told it last as the one that was set, or none before the VF has told it. Neither
// was set by anybody.
var (
	ownMAC = regexp.MustCompile(`(?m)^\S+ (pf\d)v(\d+) (\S+) mtu`)
	setMAC = regexp.MustCompile(`(?m)^(pf\d) vf (\d+) +link/ether ([[:xdigit:]:]+)`)
)

func withoutOwnMACs(state string) string {
	own := map[string]string{}
	for _, found := range ownMAC.FindAllStringSubmatch(state, -1) {
		own[found[1]+" "+found[2]] = found[3]
	}
	return setMAC.ReplaceAllStringFunc(state, func(line string) string {
		found := setMAC.FindStringSubmatch(line)
		if found[3] == "00:00:00:00:00:00" || found[3] == own[found[1]+" "+found[2]] {
			return found[1] + " vf " + found[2] + " no MAC set"
		}
		return line
	})
}

func TestWithoutOwnMACs(t *testing.T) {
	const vf = "0000:01:10.0 pf0v1 02:00:00:00:00:01 mtu 1500 up 0"
	for _, test := range []struct{ mac, want string }{
		{"00:00:00:00:00:00", "no MAC set, spoof"}, {"02:00:00:00:00:01", "no MAC set, spoof"},
		{"02:00:00:00:00:02", "    link/ether 02:00:00:00:00:02, spoof"},
	} {
		if got := withoutOwnMACs("pf0 vf 1     link/ether " + test.mac + ", spoof\n" + vf); got != "pf0 vf 1 "+test.want+"\n"+vf {
			t.Errorf("%s: %q", test.mac, got)
		}
	}
}

// clean waits until every VF is free by the daemon's word and as it was before by the kernel's.
func (s *subject) clean() {
	s.T.Helper()
	if _, err := s.AllFree(s.ctx(), s.keep); err != nil {
		s.T.Error(err)
		return
	}
	if now := s.state(); now != s.before {
		s.T.Errorf("the VFs are not as before\n--- before\n%s\n--- now\n%s", s.before, now)
	}
	err := lab.Eventually(s.ctx(), 10*time.Second, func(ctx context.Context) error {
		output, err := s.Guest.Shell(ctx, "cd /run/nri-sriov; ls -A results networks sandboxes /var/lib/nri-sriov/sandboxes $(ls -d /dev/hugepages/nri-sriov) 2>/dev/null | grep -v : | grep -v '"+cmp.Or(s.keep, "^$")+"' || true")
		if left := strings.TrimSpace(output.Stdout); err == nil && left != "" {
			err = fmt.Errorf("traces of pods are left: %s", left)
		}
		return err
	})
	if err != nil {
		s.T.Error(err)
	}
}
