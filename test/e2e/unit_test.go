package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/test/e2e/daemon"
	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

// TestUnit is about the limits that systemd sets the daemon by the unit of configs/. With NRI_SRIOV_LAB_LONG it is also run without
// each one of its capabilities.
func TestUnit(t *testing.T) {
	t.Parallel()
	all := boot(t, lab.Options{HugePages: 64}).runtime(t, lab.ContainerdOptions{})
	for _, test := range []struct {
		name string
		run  func(*subject)
		long bool
	}{
		{"InForce", limitsInForce, false}, {"Denied", denied, false}, {"NamespacesEnd", namespacesEnd, false},
		{"StartedAgain", startedAgain, false}, {"Reloaded", reloaded, false}, {"EachCapability", eachCapability, true},
	} {
		if test.long && !long() {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t, config: strings.Replace(dpdkConfig, "networks:\n", "networks:\n  - {name: probed, ipam: {type: probe}, required: [CUSTOM_COLD]}\n", 1)}
			s.startWarm()
			test.run(s)
		})
	}
}

// capabilities are the numbers of linux/capability.h.
var capabilities = map[string]int{
	"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_PTRACE": 19,
	"CAP_SYS_ADMIN": 21,
}

// boundingSet is what the unit leaves of root's capabilities.
func (s *subject) boundingSet() []string {
	s.T.Helper()
	unit, err := os.ReadFile("../../configs/systemd/" + daemon.Unit)
	s.must(err)
	for line := range strings.Lines(string(unit)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "CapabilityBoundingSet="); ok {
			return strings.Fields(value)
		}
	}
	s.T.Fatal("the unit has no CapabilityBoundingSet")
	return nil
}

// limitsInForce: the kernel's own word on the process is what the unit says.
func limitsInForce(s *subject) {
	mask := 0
	for _, name := range s.boundingSet() {
		number, ok := capabilities[name]
		if !ok {
			s.T.Fatalf("the number of %s is not known here", name)
		}
		mask |= 1 << number
	}
	none, some := fmt.Sprintf("%016x", 0), fmt.Sprintf("%016x", mask)
	want := "CapInh:\t" + none + "\nCapPrm:\t" + some + "\nCapEff:\t" + some + "\nCapBnd:\t" + some + "\nCapAmb:\t" + none + "\nNoNewPrivs:\t1\nSeccomp:\t2"
	pid := s.Daemon.Process().PID()
	if got := s.shell("grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/%d/status", pid); got != want {
		s.T.Errorf("the daemon runs with\n%s\nwanted\n%s", got, want)
	}
	if got := s.shell("cat /proc/%d/cgroup", pid); got != "0::/system.slice/"+daemon.Unit {
		s.T.Errorf("the daemon is in the control group %s", got)
	}
}

// probe is an IPAM plugin, which runs within the daemon's limits. It leaves the names of what it could do.
const probe = `#!/bin/bash
[ "$CNI_COMMAND" = DEL ] && exit 0
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo $name; fi; }
{
	try mount mount -t tmpfs tmpfs /mnt
	try unshare unshare --mount true
	try module modprobe dummy
	try disk dd if=/dev/vda of=/dev/null count=1
	try etc touch /etc/probe
	try usr touch /usr/bin/probe
	try run touch /run/probe
	try state touch /var/lib/probe
	try home touch /root/probe
	try cgroup mkdir /sys/fs/cgroup/probe
	try node mknod /tmp/node b 254 0
	try clock date --set "@$(date +%s)"
	try chroot chroot / true
	try log dmesg
	try realtime chrt --fifo 1 true
	try setuid setpriv --reuid 1000 true
	try leases touch /var/lib/cni/probe
	try temporary touch /tmp/probe
	try sysctl sh -c 'echo 0 > /proc/sys/net/ipv6/conf/lo/accept_ra'
} > /var/lib/cni/probe.txt
echo '{"cniVersion": "1.0.0", "ips": [{"address": "192.0.2.50/24"}]}'
`

// denied: what the unit denies cannot be done by the daemon or a plugin of its, though it can be done by root; and what
// the unit leaves can be done.
func denied(s *subject) {
	const plugin = "/usr/lib/cni/probe"
	s.must(s.WriteFile(s.T.Context(), plugin, 0o755, []byte(probe)))
	done := func() string { return s.shell("cat /var/lib/cni/probe.txt; rm -rf /var/lib/cni/probe*") }
	s.shell("mkdir -p /var/lib/cni; %s", plugin)
	const left = "leases\ntemporary\nsysctl"
	all := "mount\nunshare\nmodule\ndisk\netc\nusr\nrun\nstate\nhome\ncgroup\nnode\nclock\nchroot\nlog\nrealtime\nsetuid\n" + left
	if diff := cmp.Diff(all, done()); diff != "" {
		s.T.Fatalf("root itself can do other things than thought: %s", diff)
	}
	s.shell("umount /mnt; rmmod dummy; rmdir /sys/fs/cgroup/probe; rm %s", "/etc/probe /usr/bin/probe /run/probe /var/lib/probe /root/probe /tmp/node /tmp/probe")
	s.mustPod("probed", "probed")
	if diff := cmp.Diff(left, done()); diff != "" {
		s.T.Errorf("the daemon can do other things than thought: %s", diff)
	}
	s.removeAll()
	s.clean() // the plugin is asked to take back what it gave
	s.shell("rm %s", plugin)
}

// namespacesEnd: the daemon's own view of the mounts holds no network namespace that the host has let go, be it older
// than the daemon or younger.
func namespacesEnd(s *subject) {
	s.shell("ip netns add older; ip link add older0 type veth peer name older1 netns older")
	sandbox, _ := s.mustPod("pod", "public")
	status, err := s.cri.PodStatus(s.T.Context(), sandbox)
	s.must(err)
	s.shell("ip link add pod0 type veth peer name pod1 netns %s", netnsName(status.NetNS))
	s.must(s.Daemon.Kill(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	s.shell("ip netns add younger; ip link add younger0 type veth peer name younger1 netns younger")
	pid := s.Daemon.Process().PID()
	missing := s.shell(`for name in older younger %s; do grep -q "/netns/$name " /proc/%d/mountinfo || echo $name; done`, netnsName(status.NetNS), pid)
	if missing != "" {
		s.T.Errorf("the daemon does not see the network namespaces %s", missing)
	}
	if own, host := s.shell("readlink /proc/%d/ns/mnt", pid), s.shell("readlink /proc/1/ns/mnt"); own == host {
		s.T.Errorf("the daemon has no view of the mounts of its own: %s", own)
	}
	s.shell("ip netns del older; ip netns del younger")
	s.removeAll()
	s.clean()
	s.must(lab.Eventually(s.T.Context(), 20*time.Second, func(ctx context.Context) error {
		output, err := s.Guest.Shell(ctx, "ls /sys/class/net | grep -x -E '(older|younger|pod)0' || true")
		if left := strings.TrimSpace(output.Stdout); err == nil && left != "" {
			err = fmt.Errorf("network namespaces live on, by their links %s", left)
		}
		return err
	}))
	if held := s.shell("grep -E ' net:\\[' /proc/%d/mountinfo || true", pid); held != "" {
		s.T.Errorf("the daemon holds\n%s", held)
	}
}

// startedAgain: systemd starts the daemon again however often it dies, and does not give up as it does by default after
// five times in ten seconds.
func startedAgain(s *subject) {
	s.must(s.Daemon.Kill(s.T.Context()))
	s.Daemon.Directives = []string{"Restart=always", "RestartSec=50ms"}
	s.must(s.Daemon.Start(s.T.Context()))
	defer func() {
		s.shell("systemctl stop %s", daemon.Unit)
		s.Daemon.Directives = nil
		s.must(s.Daemon.Start(s.ctx()))
	}()
	took := s.shell(`
pid() { systemctl show --property=MainPID --value %s; }
before=$(pid)
begin=$SECONDS
for time in $(seq 7); do
	kill -KILL $before
	for try in $(seq 100); do
		now=$(pid)
		test $now = 0 || test $now = $before || break
		sleep 0.05
	done
	before=$now
	test $now != 0
done
echo $((SECONDS - begin))`, daemon.Unit)
	s.T.Logf("seven times in %s s", took)
	s.must(s.Daemon.Ready(s.T.Context()))
}

// reloaded: `systemctl reload` has the config read again, and pods keep what they have when it is refused.
func reloaded(s *subject) {
	_, had := s.mustPod("had", "public")
	before := s.networks(had)
	reloads := func(result string) string {
		return s.shell("busybox wget -q -T 5 -O - http://127.0.0.1:9808/metrics | sed -n 's/^nri_sriov_config_reloads_total{result=%q} //p'", result)
	}
	reload := func(result, count string) {
		s.T.Helper()
		s.shell("systemctl reload %s", daemon.Unit)
		s.within(20*time.Second, func() error {
			if now := reloads(result); now != count {
				return fmt.Errorf("the config was %s %q times, not %s", result, now, count)
			}
			return nil
		})
	}
	reload("taken", "1")
	s.must(s.Daemon.Configure(s.T.Context(), s.config+"nosuchkey: 1\n"))
	s.said("the changed config is refused")
	reload("refused", "2")
	if diff := cmp.Diff(before, s.networks(had)); diff != "" {
		s.T.Errorf("the pod has something else: %s", diff)
	}
	s.must(s.Daemon.Configure(s.T.Context(), strings.Replace(s.config, "networks:\n", "networks:\n  - {name: added, required: [CUSTOM_COLD]}\n", 1)))
	s.within(20*time.Second, func() error {
		if reloads("taken") != "2" {
			return errors.New("the changed config is not in force")
		}
		return nil
	})
	s.mustPod("added", "added")
	s.removeAll()
	s.clean()
}

// losses are what is seen when a capability is taken away: a piece of an error or of the daemon's log.
var losses = map[string]string{
	"CAP_NET_ADMIN":    "operation not permitted",
	"CAP_SYS_ADMIN":    "enter network namespace: operation not permitted",
	"CAP_NET_RAW":      "neighbours were not told of the addresses",
	"CAP_SYS_PTRACE":   "processes whose open files may not be read",
	"CAP_DAC_OVERRIDE": "give back the huge pages",
	"CAP_CHOWN":        "chownat",
	"CAP_FOWNER":       "chmodat",
}

// forUsers are needed to give a container's user its huge pages, which runtimes before containerd 2.3 do not name.
var forUsers = []string{"CAP_CHOWN", "CAP_FOWNER"}

// eachCapability: without any one of its capabilities the daemon cannot do what it can with them all.
func eachCapability(s *subject) {
	defer func() { s.Daemon.Directives = nil }()
	whole := s.seenWithout("")
	for _, name := range s.boundingSet() {
		seen := s.seenWithout(name)
		s.T.Logf("without %s:\n%s", name, seen)
		needed := s.ContainerdVersion().AtLeast(2, 3) || !slices.Contains(forUsers, name)
		if loss := losses[name]; loss == "" || strings.Contains(whole, loss) || strings.Contains(seen, loss) != needed {
			s.T.Errorf("without %s there is no sign of %q that is not there with it, or one that should not be", name, loss)
		}
	}
	s.T.Logf("with all:\n%s", whole)
	s.seenWithout("") // what was left is put in order
}

// seenWithout has the daemon serve a pod with an interface and one that drives its VF itself as an ordinary user, makes
// the second one's container twice and holds its VF past its end. It answers all errors and the warnings of the log.
func (s *subject) seenWithout(capability string) string {
	s.T.Helper()
	s.Daemon.Directives = nil
	if capability != "" {
		s.Daemon.Directives = []string{"CapabilityBoundingSet=~" + capability}
	}
	var seen strings.Builder
	note := func(err error) {
		if err != nil {
			fmt.Fprintln(&seen, err)
		}
	}
	s.must(s.Daemon.Kill(s.ctx()))
	s.shell("truncate -s 0 %s", s.Daemon.Process().Log())
	warnings := func() string {
		return s.shell("grep -E 'level=(warn|error)|^nri-sriov:|^Error' %s || true", s.Daemon.Process().Log())
	}
	if err := s.Daemon.Start(s.ctx()); err != nil { // a runtime without the daemon starts pods without VFs
		note(err)
		return seen.String() + warnings()
	}
	if sandbox, err := s.pod("net", `[{network: public, ips: ["192.0.2.9/24"]}]`); err == nil {
		_, err = s.tryContainer(sandbox, "app")
		note(err)
	} else {
		note(err)
	}
	sandbox, err := s.pod("vfio", "cold")
	note(err)
	container := ""
	for attempt := uint32(0); attempt < 2 && err == nil; attempt++ {
		container, err = s.ordinaryUser(sandbox, attempt)
		note(err)
	}
	holder := ""
	if err == nil {
		holder = s.shell("sleep 1000 3<>/dev/vfio/%d >/dev/null 2>&1 & echo $!", s.networks(container)[0].IOMMUGroup)
	}
	s.removeAll()
	time.Sleep(3 * time.Second)
	if tree, err := s.Inventory(s.ctx()); err == nil {
		for _, provider := range tree.Providers {
			for _, one := range provider.VFs {
				if one.Reason != "" {
					fmt.Fprintln(&seen, one.State, one.Reason)
				}
			}
		}
	}
	if holder != "" {
		s.shell("kill -KILL %s", holder)
	}
	if capability == "" {
		_, err := s.AllFree(s.ctx())
		note(err)
	}
	return seen.String() + warnings()
}

// ordinaryUser starts a container of user 1000 that makes a folder of its own in its huge pages.
func (s *subject) ordinaryUser(sandbox string, attempt uint32) (string, error) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		id, err := s.cri.Launch(s.T.Context(), sandbox, lab.Container{
			Name: "app", Attempt: attempt, RunAsUser: 1000, RunAsGroup: 1000, NoCapabilities: true,
			Command: []string{"/bin/sh", "-c", "mkdir -p -m 700 /dev/hugepages/deep/er; sleep 1000"},
		})
		if err == nil || !strings.Contains(err.Error(), "the container is tried again") || time.Now().After(deadline) {
			return id, err
		}
	}
}
