package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/sirupsen/logrus"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/request"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// memoryEnv names the folder of a process that is measured.
const memoryEnv = "NRI_SRIOV_MEMORY_OF"

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the NRI library tells of each connection
	dir := os.Getenv(memoryEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := measuredProcess(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// BenchmarkMemory is the memory, in MB, of a process of its own with the daemon's parts: the journal with so many
// sandboxes, one VF each, the pool of a node of 8 PFs with 64 VFs each, the connection to a runtime which lists all of
// them, the servers, and one scrape. In place of sysfs and netlink it has a made-up node.
func BenchmarkMemory(b *testing.B) {
	for _, sandboxes := range []int{0, 500} {
		b.Run(fmt.Sprint(sandboxes), func(b *testing.B) {
			dir := shortFolder(b)
			pods := journaled(b, dir, sandboxes)
			startRuntime(b, dir, filepath.Join(dir, "nri.sock"), pods)
			var most, atMost, written float64
			for b.Loop() {
				command := exec.CommandContext(b.Context(), os.Args[0])
				command.Env, command.Stderr = append(os.Environ(), memoryEnv+"="+dir), os.Stderr
				output, err := command.Output()
				if err != nil {
					b.Fatal(err)
				}
				var resident, peak, anonymous float64
				if _, err := fmt.Sscan(string(output), &resident, &peak, &anonymous); err != nil {
					b.Fatalf("%v in %q", err, output)
				}
				most, atMost, written = max(most, resident/1024), max(atMost, peak/1024), max(written, anonymous/1024)
			}
			b.ReportMetric(most, "RSS-MB")
			b.ReportMetric(atMost, "peak-MB")
			b.ReportMetric(written, "anon-MB") // the rest is the program itself, the tests' part of it too
		})
	}
}

// journaled leaves the journal of a daemon with so many sandboxes in a folder, and answers what a runtime says of them.
func journaled(b *testing.B, dir string, sandboxes int) (pods []*api.PodSandbox) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	d, err := madeUp(ctx, dir)
	if err != nil {
		b.Fatal(err)
	}
	for i := range sandboxes {
		pod := &api.PodSandbox{
			Id: fmt.Sprintf("%064x", i), Name: fmt.Sprint("web-", i), Uid: fmt.Sprintf("%036x", i), Namespace: "prod",
			Annotations: map[string]string{request.NetworksAnnotation: "default"},
			Linux:       &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{{Type: "network", Path: "/proc/self/ns/net"}}},
		}
		if err := d.plugin.RunPodSandbox(ctx, pod); err != nil {
			b.Fatal(err)
		}
		if _, err := d.attacher.Ready(ctx, pod.Id); err != nil {
			b.Fatal(err)
		}
		pods = append(pods, pod)
	}
	cancel()
	if err := d.attacher.Wait(context.Background()); err != nil {
		b.Fatal(err)
	}
	return pods
}

// madeUp is a daemon on a made-up node with a state folder.
func madeUp(ctx context.Context, dir string) (*daemon, error) {
	world := attachtest.NewWorld(8, 64)
	return madeUpOf(ctx, dir, world, world)
}

// madeUpOf is one on that node, whose VFs are driven by device.
func madeUpOf(ctx context.Context, dir string, world *attachtest.World, device attach.Device) (*daemon, error) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	d := &daemon{log: log, meters: newMeters(), trouble: newTrouble(log), plugin: hooks.New(log, nil), failed: make(chan error, 1), flags: runFlags{
		stateDir: dir, runDir: dir, nriSocket: filepath.Join(dir, "nri.sock"), pluginName: "nri-sriov", pluginIndex: "10", listen: "127.0.0.1:0",
	}}
	node, err := config.Load(filepath.Join(dir, "no-config.yaml"))
	if err != nil {
		return nil, err
	}
	d.node.Store(node)
	d.observe()
	records, loaded, err := d.openJournal(dir)
	if err != nil {
		return nil, err
	}
	results, err := attach.OpenResults(dir)
	if err != nil {
		return nil, err
	}
	d.pool = inventory.NewPool(world.Providers())
	d.storage = storage{records, records}
	d.attacher = attach.New(ctx, attach.Options{
		Pool: d.pool, Journal: records, Results: results, Device: device, Address: world, Announce: world, Settings: world.SettingsOf,
		Open: vf.OpenNamespace, Times: attach.DefaultTimes(), Log: log, Observer: d.observer(),
	})
	d.attacher.Recover(loaded)
	d.drift = &drift{attacher: d.attacher}
	d.plugin.Start(&hooks.Node{Config: node, Attacher: d.attacher, Results: results})
	return d, nil
}

// measuredProcess is a daemon that starts, and prints its resident memory and the peak of it, in KB, once all is settled.
func measuredProcess(dir string) error {
	spareMemory()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d, err := madeUp(ctx, dir)
	if err != nil {
		return err
	}
	d.serve()
	ended := make(chan error, 1)
	go func() { ended <- d.connect(ctx, settingsLimit) }()
	for !d.plugin.Synchronised() {
		select {
		case err := <-ended:
			return errors.Join(errors.New("the connection has ended"), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	for _, pod := range d.attacher.Pods() {
		if _, err := d.attacher.Ready(ctx, pod.Sandbox.ID); err != nil {
			return err
		}
	}
	d.probes().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
	memory, err := residentMemory()
	fmt.Println(memory)
	return err
}

var memoryForm = regexp.MustCompile(`(?s)VmHWM:\s+(\d+) kB.*VmRSS:\s+(\d+) kB\s+RssAnon:\s+(\d+) kB`)

// residentMemory is this process's memory in KB: all of it now and at most, and what is backed by no file.
func residentMemory() (string, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	found := memoryForm.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("no memory in %s", text)
	}
	return fmt.Sprintf("%s %s %s", found[2], found[1], found[3]), nil
}
