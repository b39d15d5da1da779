package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

const (
	stateDir = "/var/lib/nri-sriov"
	runDir   = "/run/nri-sriov"
)

// TestDisk is what must hold when the disk of the journal fails under the running daemon, or has failed before it starts:
// pods that ask for a VF are refused with the reason and the mend, before the kernel is touched; pods that end give theirs
// back; the daemon goes on, /readyz says what is lacking, and after the mend all works without a restart. With
// NRI_SRIOV_LAB_LONG all of it, else some.
func TestDisk(t *testing.T) {
	t.Parallel()
	all := bootWith(t, lab.Options{}, fragile).runtime(t, lab.ContainerdOptions{})
	for _, c := range []struct {
		name string
		test func(*subject)
		long bool
	}{
		{"Full", diskFull, false}, {"ReadOnly", diskReadOnly, true}, {"InTheWay", seeingAll(diskInTheWay), true},
		{"RunFolderFull", runFolderFull, true}, {"Missing", seeingAll(diskMissing), true}, {"Replaced", diskReplaced, true},
		{"Corrupt", diskCorrupt, false}, {"Later", laterRecord, true}, {"Slow", diskSlow, true},
		{"BrokenAtStart", seeingAll(diskBrokenAtStart), true}, {"TwoDaemons", twoDaemons, false},
		{"TwoDaemonsPreinstalled", twoDaemonsPreinstalled, true},
	} {
		if c.long && !long() {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := &subject{bench: all.bench, T: t}
			t.Cleanup(func() { s.shell("umount -l %s %s 2>/dev/null || true; rm -rf %[1]s %[2]s %s", stateDir, runDir, armed) })
			s.start()
			c.test(s)
		})
	}
}

// hostsView are lines for the unit that take its view of the mounts away. A daemon that has one of its own does not see that
// somebody puts another folder in the place of one of its folders, or a disk upon it; see diskReplaced. A plugin that
// containerd starts has none.
var hostsView = []string{
	"ProtectSystem=no", "ProtectHome=no", "PrivateTmp=no", "PrivateIPC=no", "ProtectKernelLogs=no", "ProtectHostname=no", "ProtectClock=no",
	"ReadOnlyPaths=", "ReadWritePaths=", "StateDirectory=", "RuntimeDirectory=",
}

// seeingAll runs a test with a daemon that sees the host's mounts as they are.
func seeingAll(test func(*subject)) func(*subject) {
	return func(s *subject) {
		s.Daemon.Directives = hostsView
		defer func() { s.Daemon.Directives = nil }()
		s.restartWith()
		if own, host := s.shell("readlink /proc/%d/ns/mnt", s.Daemon.Process().PID()), s.shell("readlink /proc/1/ns/mnt"); own != host {
			s.T.Fatalf("the daemon has a view of the mounts of its own, %s", own)
		}
		test(s)
	}
}

// diskReplaced: somebody removes the folder of the journal under a daemon that its unit lets write there and nowhere else.
// It refuses pods until it is started again, says so, and releases what ends all the same.
func diskReplaced(s *subject) {
	c := tally{rows: "27", injected: 1}
	_, held := s.mustPod("held", `[{network: public, required: [CUSTOM_LEFT]}]`)
	ended, _ := s.mustPod("ended", `[{network: public, required: [CUSTOM_RIGHT]}]`)
	s.shell("rm -rf %s; mkdir %[1]s", stateDir)
	second, err := s.pod("second", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.must(err)
	_, err = s.tryContainer(second, "early")
	s.refused(err, "nothing was changed: ")
	s.refused(err, "restart the daemon")
	s.remove(ended)
	s.within(time.Minute, func() error { return s.forgotten(ended) })
	begun := time.Now()
	s.restartWith()
	c.without = s.bare("net1", held, s.container(second, "app"))
	c.converge = time.Since(begun)
	s.lacks("")
	s.tell(c)
}

// onTmpfs has the daemon work with a folder on a small disk of its own.
func (s *subject) onTmpfs(dir string) {
	s.T.Helper()
	_, err := s.Daemon.Stop(s.T.Context())
	s.must(err)
	s.shell("rm -rf %[1]s; mkdir -p %[1]s; mount -t tmpfs -o size=256k tmpfs %[1]s", dir)
	s.must(s.Daemon.Start(s.T.Context()))
}

// readyz asks the daemon what it lacks; nothing is ready.
func (s *subject) readyz() string {
	s.T.Helper()
	answer := s.shell(`exec 3<>/dev/tcp/127.0.0.1/9808; printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3; cat <&3`)
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	if strings.Contains(head, " 200 ") {
		return ""
	}
	return strings.TrimSpace(body)
}

// lacks waits until /readyz says something, or nothing any more.
func (s *subject) lacks(sentence string) {
	s.T.Helper()
	s.within(time.Minute, func() error {
		if said := s.readyz(); sentence == "" && said != "" || !strings.Contains(said, sentence) {
			return fmt.Errorf("/readyz says %q, not %q", said, sentence)
		}
		return nil
	})
}

// metric reads one of the daemon's.
func (s *subject) metric(name string) string {
	s.T.Helper()
	return s.shell(`busybox wget -q -T 5 -O - http://127.0.0.1:9808/metrics | grep '^%s ' | cut -d' ' -f2`, name)
}

// failing is a disk that fails under the daemon while a pod has a VF, and is mended.
func (s *subject) failing(fail, mend, sentence, lacking string) {
	s.T.Helper()
	c := tally{rows: "27", injected: 1}
	sandbox, held := s.mustPod("held", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`)
	ended, _ := s.mustPod("ended", `[{network: public, mac: "02:00:00:00:00:12"}]`)
	pid, before := s.Daemon.Process().PID(), s.state()
	s.shell("%s", fail)
	refused, err := s.pod("refused", "other")
	s.must(err)
	_, err = s.tryContainer(refused, "app")
	s.refused(err, "nothing was changed: ")
	s.refused(err, sentence)
	if now := s.state(); now != before {
		s.T.Errorf("the kernel was touched\n--- before\n%s\n--- now\n%s", before, now)
	}
	s.lacks(lacking)
	s.remove(ended)
	s.within(time.Minute, func() error { return s.forgotten(ended) })
	_, plain := s.mustPod("plain", "")
	c.without += s.bare("eth0", plain) + s.bare("net1", held)
	begun := time.Now()
	s.shell("%s", mend)
	s.lacks("")
	_, second := s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`)
	s.pings(second, "192.0.2.10")
	again := s.container(refused, "again")
	c.converge = time.Since(begun)
	c.without += s.bare("net1", held, second, again)
	s.remove(sandbox)
	if running, err := s.Daemon.Process().Running(s.T.Context()); err != nil || !running || s.Daemon.Process().PID() != pid {
		s.T.Errorf("the daemon has ended: %v", err)
	}
	s.pods = s.pods[2:] // those that were removed here
	s.tell(c)
}

func diskFull(s *subject) {
	s.onTmpfs(stateDir)
	s.failing("dd if=/dev/zero of="+stateDir+"/filler bs=4k 2>/dev/null || true", "rm "+stateDir+"/filler",
		"the disk is full: free some space there", "the journal is not writable: ")
}

func diskReadOnly(s *subject) {
	s.onTmpfs(stateDir)
	s.failing("mount -o remount,ro "+stateDir, "mount -o remount,rw "+stateDir, "the disk is read-only: mount it writable again", "the disk is read-only")
}

func diskInTheWay(s *subject) {
	s.failing("mv "+stateDir+" /var/lib/aside; echo > "+stateDir, "rm "+stateDir+"; mv /var/lib/aside "+stateDir,
		"something else lies where a folder or file of ours is to be: move it away", "the journal is not writable: ")
}

// runFolderFull: what a pod is told has no room. The daemon does not start a pod that it could not tell.
func runFolderFull(s *subject) {
	s.onTmpfs(runDir)
	s.failing("dd if=/dev/zero of="+runDir+"/filler bs=4k 2>/dev/null || true", "rm "+runDir+"/filler", "the disk is full: free some space there", "the journal is not writable: ")
}

// diskMissing: somebody removes both folders under the daemon. They come back, and nothing is lost.
func diskMissing(s *subject) {
	first, held := s.mustPod("first", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`)
	begun := time.Now()
	s.shell("rm -rf %s %s", stateDir, runDir)
	_, second := s.mustPod("second", `[{network: public, ips: ["192.0.2.11/24"], required: [CUSTOM_RIGHT]}]`)
	s.pings(second, "192.0.2.10")
	s.attachedSoon(2) // over the socket, which was in the run folder
	c := tally{rows: "27", injected: 1, without: s.bare("net1", held, second), converge: time.Since(begun)}
	s.lacks("")
	// The record of the first is gone: its VF is known by its mark.
	s.must(s.Daemon.Kill(s.T.Context()))
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(2)
	c.without += s.bare("net1", held, second)
	s.remove(first)
	s.pods = s.pods[1:]
	s.tell(c)
}

// attachedSoon is attached for a daemon that is not reached yet.
func (s *subject) attachedSoon(count int) {
	s.T.Helper()
	s.within(time.Minute, func() error {
		_, err := s.Pods(s.T.Context())
		return err
	})
	s.attached(count)
}

// diskCorrupt: records are spoiled in every way while the daemon is away. It starts, each is set aside, and a pod whose
// record is lost keeps its VF.
func diskCorrupt(s *subject) {
	sandbox, held := s.mustPod("held", `[{network: public, ips: ["192.0.2.10/24"]}]`)
	c := tally{rows: "28"}
	for _, spoil := range []string{
		": > $r", "truncate -s 100 $r", "head -c 4000 /dev/urandom > $r", "head -c 3000000 /dev/zero > $r", "rm $r; mkdir $r; touch $r/inside",
		"rm $r; ln -s /etc/passwd $r", "rm $r; mkfifo $r", `(printf '{"version":2,"bootID":"x","record":'; head -c 500000 /dev/zero | tr '\0' '[') > $r`,
	} {
		s.must(s.Daemon.Kill(s.T.Context()))
		s.shell("r=%s/sandboxes/%s.json; %s", stateDir, sandbox, spoil)
		begun := time.Now()
		s.must(s.Daemon.Start(s.T.Context()))
		s.attached(1)
		c.injected, c.converge = c.injected+1, max(c.converge, time.Since(begun))
		c.without += s.bare("net1", held)
		if said := s.log(); !strings.Contains(said, sandbox+".json.broken") {
			s.T.Errorf("after %s the daemon has not said what it set aside", spoil)
		}
		if count := s.metric("nri_sriov_journal_records_set_aside_total"); count != "1" {
			s.T.Errorf("after %s the metric is %q", spoil, count)
		}
	}
	if kept := s.shell("ls %s/sandboxes | grep -c broken", stateDir); kept != "8" {
		s.T.Errorf("%s records are kept for a person to look at", kept)
	}
	s.shell("rm -rf %s/sandboxes/*.broken*", stateDir)
	s.tell(c)
}

// laterRecord: a later program was here before. Its record stays as it is, and its VF is nobody else's.
func laterRecord(s *subject) {
	sandbox, held := s.mustPod("held", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.must(s.Daemon.Kill(s.T.Context()))
	record := fmt.Sprintf("%s/sandboxes/%s.json", stateDir, sandbox)
	s.shell(`cp %[1]s /tmp/record; sed -i 's/"version":2/"version":3,"more":true/' %[1]s; cp %[1]s /tmp/later`, record)
	s.must(s.Daemon.Start(s.T.Context()))
	s.said("a journal record is left as it is")
	for i := range 6 {
		s.mustPod(fmt.Sprint("other", i), `[{network: public, required: [CUSTOM_LEFT]}]`)
	}
	_, err := s.pod("seventh", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.refused(err, "no VF free")
	c := tally{rows: "35", injected: 1, without: s.bare("net1", held)}
	s.shell("cmp %s /tmp/later", record)
	s.must(s.Daemon.Kill(s.T.Context()))
	s.shell("cp /tmp/record %s", record) // as if the later program had gone on
	begun := time.Now()
	s.must(s.Daemon.Start(s.T.Context()))
	s.attached(7)
	c.converge = time.Since(begun)
	s.tell(c)
}

// diskSlow: each write takes three seconds. Nobody waits for that but the pod whose write it is.
func diskSlow(s *subject) {
	c := tally{rows: "27", injected: 1}
	s.restartWith("NRI_SRIOV_FAILPOINT=disk:each:stall=3s", "NRI_SRIOV_FAILPOINT_ARM="+armed)
	ended, _ := s.mustPod("ended", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.shell("touch " + armed)
	_, plain := s.mustPod("plain", "")
	first, err := s.pod("first", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.must(err)
	second, err := s.pod("second", `[{network: public, required: [CUSTOM_LEFT]}]`)
	s.must(err)
	s.must(s.cri.StopPod(s.T.Context(), ended))
	_, err = s.cri.StartIn(s.T.Context(), first, "early")
	s.refused(err, "the container is tried again")
	s.attached(2)
	c.without += s.bare("eth0", plain)
	begun := time.Now()
	s.shell("rm " + armed)
	c.without += s.bare("net1", s.container(first, "app"), s.container(second, "app"))
	s.within(time.Minute, func() error { return s.forgotten(ended) })
	c.converge = time.Since(begun)
	s.stayedConnected(defaultPatience)
	s.restartWith()
	s.tell(c)
}

// diskBrokenAtStart: the daemon starts whatever it finds in the place of its folders, and leaves live pods alone.
func diskBrokenAtStart(s *subject) {
	_, held := s.mustPod("held", `[{network: public, ips: ["192.0.2.10/24"], required: [CUSTOM_LEFT]}]`)
	c := tally{rows: "27"}
	for _, one := range []struct{ fail, mend string }{
		{"mount -t tmpfs -o size=64k tmpfs $d; dd if=/dev/zero of=$d/filler bs=4k 2>/dev/null || true", "umount -l $d"},
		{"mount -t tmpfs -o ro tmpfs $d", "umount -l $d"},
		{"mount --bind $d $d; mount -o remount,bind,ro $d", "umount -l $d"},
		{"mv $d $d.aside", "rm -rf $d; mv $d.aside $d"},
		{"mv $d $d.aside; echo > $d", "rm -rf $d; mv $d.aside $d"},
		{"mv $d $d.aside; mkdir $d; echo > $d/sandboxes", "rm -rf $d; mv $d.aside $d"},
	} {
		for _, dir := range []string{stateDir, runDir} {
			s.must(s.Daemon.Kill(s.T.Context()))
			s.shell("d=%s; %s", dir, one.fail)
			s.must(s.Daemon.Launch(s.T.Context()))
			s.said("synchronised with the runtime")
			c.injected++
			c.without += s.bare("net1", held)
			begun := time.Now()
			s.shell("d=%s; %s", dir, one.mend)
			s.lacks("")
			s.attachedSoon(1)
			c.converge = max(c.converge, time.Since(begun))
			c.without += s.bare("net1", held)
			if s.T.Failed() {
				s.T.Fatalf("this was with %s of %s", one.fail, dir)
			}
		}
	}
	s.tell(c)
}
