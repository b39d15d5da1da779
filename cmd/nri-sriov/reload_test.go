package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-sriov/nri-sriov/pkg/kube/apitest"
	"github.com/nri-sriov/nri-sriov/pkg/request"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// cluster is a daemon on a node without NICs, a runtime, and an API server.
type cluster struct {
	*testing.T
	server  *apitest.Server
	runtime *adaptation.Adaptation
	address string
	// folder is the mounted ConfigMap.
	folder string
	// state is the state folder.
	state string
	pods  atomic.Int32
	// stop ends the daemon and answers how long that took.
	stop func() time.Duration
}

// configMap changes a mounted ConfigMap as the kubelet does: a folder of its own, and one swap of ..data.
func (c *cluster) configMap(files map[string]string) {
	c.Helper()
	data := c.mkdir()
	for name, text := range files {
		mustDo(c.T, os.WriteFile(filepath.Join(data, name), []byte(text), 0o600))
		link := filepath.Join(c.folder, name)
		if _, err := os.Lstat(link); err != nil {
			mustDo(c.T, os.Symlink(filepath.Join("..data", name), link))
		}
	}
	swap := filepath.Join(c.folder, "..data_tmp")
	mustDo(c.T, os.Symlink(data, swap), os.Rename(swap, filepath.Join(c.folder, "..data")))
}

func (c *cluster) mkdir() string {
	dir, err := os.MkdirTemp(c.folder, "..data-")
	mustDo(c.T, err)
	return dir
}

func networksNamed(names ...string) string {
	text := "apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks:\n"
	for _, name := range names {
		text += "  - name: " + name + "\n"
	}
	return text
}

// newCluster starts it all, with these files, and waits until the daemon is ready.
func newCluster(t *testing.T, files map[string]string) *cluster {
	t.Helper()
	return newClusterOn(t, t.TempDir(), files).ready()
}

func (c *cluster) ready() *cluster {
	c.Helper()
	c.eventually("readiness", func() bool { return readyz(c.T, c.address) == "ok\n" })
	c.runtime.BlockPluginSync().Unblock() // the runtime, too, knows of the plugin
	return c
}

// newClusterOn starts it on a node with this sysfs.
func newClusterOn(t *testing.T, sysfs string, files map[string]string) *cluster {
	dir := t.TempDir()
	c := &cluster{T: t, server: apitest.New(t), folder: t.TempDir(), state: dir + "/state"}
	c.configMap(files)
	c.server.PutNode("n1")
	kubeconfig := filepath.Join(dir, "kubeconfig")
	mustDo(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: c\n"+
		"clusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]\n", c.server.URL()), 0o600))
	c.runtime = startRuntime(t, dir, dir+"/nri.sock", nil)
	c.address = freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		root := newRoot()
		root.SetArgs([]string{"run", "--state-dir", c.state, "--run-dir", dir + "/run", "--sysfs", sysfs, "--listen", c.address,
			"--config", c.folder, "--nri-socket", dir + "/nri.sock", "--log-level", "error", "--kubeconfig", kubeconfig, "--node-name", "n1",
			"--kubelet-dir", dir + "/kubelet"})
		ended <- exitCode(root.ExecuteContext(ctx))
	}()
	c.stop = func() time.Duration {
		begun := time.Now()
		cancel()
		select {
		case code := <-ended:
			if code != 0 {
				t.Errorf("the daemon ends with %d", code)
			}
			ended <- code
		case <-time.After(20 * time.Second):
			t.Error("the daemon does not end")
		}
		return time.Since(begun)
	}
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *cluster) eventually(what string, holds func() bool) {
	c.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("%s does not come; Events %+v", what, c.server.Events())
		}
	}
}

// refusal is what a pod that asks for the network none is told: it names the networks that there are.
func (c *cluster) refusal() string {
	c.Helper()
	number := c.pods.Add(1)
	err := c.runtime.RunPodSandbox(c.Context(), &api.RunPodSandboxRequest{Pod: &api.PodSandbox{
		Id: fmt.Sprint("s", number), Name: fmt.Sprint("web-", number), Uid: fmt.Sprint("u", number), Namespace: "prod",
		Annotations: map[string]string{request.NetworksAnnotation: "none"},
	}})
	if err == nil {
		c.Fatal("it is not refused")
	}
	return err.Error()
}

func (c *cluster) may(networks string) {
	c.Helper()
	c.eventually(networks, func() bool { return strings.HasSuffix(c.refusal(), `namespace "prod" may use `+networks) })
}

func (c *cluster) metric(line string) {
	c.Helper()
	c.eventually(line, func() bool { return strings.Contains(c.scrape(), "\n"+line+"\n") })
}

func (c *cluster) scrape() string {
	answer, err := http.Get("http://" + c.address + "/metrics")
	mustDo(c.T, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	mustDo(c.T, err)
	return string(text)
}

func (c *cluster) event(kind, reason, text string) {
	c.Helper()
	c.eventually(reason, func() bool {
		for _, one := range c.server.Events() {
			if one.Kind == kind && one.Reason == reason && strings.Contains(one.Message, text) {
				return true
			}
		}
		return false
	})
}

// TestConfigMap: the node's own key comes first, each change is taken over without a restart, and one that is not valid is
// refused whole.
func TestConfigMap(t *testing.T) {
	t.Parallel()
	c := newCluster(t, map[string]string{"config.yaml": networksNamed("public")})
	c.may("public")
	c.event("Pod", "NotAllowed", `network "none": the node does not define it; namespace "prod" may use public`)
	c.configMap(map[string]string{"config.yaml": networksNamed("public", "storage")})
	c.may("public, storage")
	c.event("Node", "ConfigTaken", "config.yaml")
	c.configMap(map[string]string{"config.yaml": networksNamed("other") + "vfs: 7\n"})
	c.event("Node", "ConfigRefused", `unknown key "vfs"`)
	c.metric("nri_sriov_config_refused 1")
	c.metric(`nri_sriov_config_reloads_total{result="refused"} 1`)
	c.may("public, storage")
	c.configMap(map[string]string{"config.yaml": networksNamed("common"), "n1.yaml": networksNamed("mine")})
	c.may("mine")
	c.metric("nri_sriov_config_refused 0")
	mustDo(t, os.Remove(filepath.Join(c.folder, "n1.yaml")))
	c.may("common")
	mustDo(t, os.Remove(filepath.Join(c.folder, "config.yaml")))
	c.event("Node", "ConfigRefused", "has neither n1.yaml nor config.yaml")
	c.may("common")
}

// TestMetricsOfTheKubelet are served by the daemon as it is wired: what it opens after its servers they would never see.
func TestMetricsOfTheKubelet(t *testing.T) {
	t.Parallel()
	c := newCluster(t, map[string]string{"config.yaml": networksNamed("public")})
	c.metric(`nri_sriov_kubelet_registered{resource="sriov.nri.io/public"} 0`)
	c.metric(`nri_sriov_kubelet_devices{health="healthy",resource="sriov.nri.io/public"} 0`)
	c.metric("nri_sriov_kubelet_given_twice_total 0")
}

// TestTaintByConfig: the node bears the taint while it is not ready, if the config says so, and others' stay.
func TestTaintByConfig(t *testing.T) {
	t.Parallel()
	const other, ours = `{"effect":"NoSchedule","key":"a"}`, `{"effect":"NoSchedule","key":"sriov.nri.io/not-ready"}`
	c := newCluster(t, map[string]string{"config.yaml": networksNamed("public") + "taint: true\n"})
	c.server.PutNode("n1", other)
	bears := func(want string) {
		t.Helper()
		c.eventually("taints "+want, func() bool { return strings.Join(c.server.Taints("n1"), " ") == want })
	}
	mustDo(t, os.RemoveAll(c.state), os.WriteFile(c.state, nil, 0o600))
	bears(other + " " + ours)
	c.configMap(map[string]string{"config.yaml": networksNamed("public") + "taint: false\n"})
	bears(other)
}

// TestTaintWhileStarting: VFs that do not come hold the start up for minutes, and the node takes no pods meanwhile.
func TestTaintWhileStarting(t *testing.T) {
	t.Parallel()
	c := newClusterOn(t, sysfsOf(t, "lo").Dir, map[string]string{"config.yaml": wantsVFs(2) + "taint: true\n"})
	c.eventually("the taint", func() bool { return len(c.server.Taints("n1")) == 1 })
}

// TestVFsThatCannotBeCreatedYet: the config that wants them is refused, and in force without another change once they can be.
func TestVFsThatCannotBeCreatedYet(t *testing.T) {
	t.Parallel()
	const net = "bus/pci/devices/0000:01:00.0/net/"
	tree := sysfsOf(t, "nri-none")
	c := newClusterOn(t, tree.Dir, map[string]string{"config.yaml": networksNamed("public")}).ready()
	c.configMap(map[string]string{"config.yaml": wantsVFs(2)})
	c.event("Node", "ConfigRefused", "create 2 VFs on ")
	c.metric("nri_sriov_config_refused 1")
	mustDo(t, os.Rename(filepath.Join(tree.Dir, net, "nri-none"), filepath.Join(tree.Dir, net, "lo"))) // which is there, and up
	c.eventually("the VFs' creation", func() bool {
		text, err := os.ReadFile(filepath.Join(tree.Dir, "bus/pci/devices/0000:01:00.0/sriov_numvfs"))
		return err == nil && strings.TrimSpace(string(text)) == "2"
	})
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if text := c.scrape(); !strings.Contains(text, `nri_sriov_config_reloads_total{result="refused"} 1`) {
			t.Fatal("a refusal that was tried again is told again")
		}
	}
}

// sysfsOf is a node with one PF that can have four VFs and has none; they never come.
func sysfsOf(t *testing.T, name string) *vftest.Sysfs {
	t.Helper()
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: name, Driver: "igb", TotalVFs: 4})
	return tree
}

func wantsVFs(count int) string {
	return networksNamed("public") + fmt.Sprintf("providers:\n  - pciAddress: \"0000:01:00.0\"\n    numVFs: %d\n", count)
}

// TestAPIServerAway: pods are served as before, the daemon ends as fast as before, and what is true is told later.
func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	c := newCluster(t, map[string]string{"config.yaml": networksNamed("public")})
	silent := make(chan struct{})
	c.server.Fail(func(http.ResponseWriter, *http.Request) bool { <-silent; return true })
	t.Cleanup(func() { close(silent) })
	for range 300 {
		begun := time.Now()
		c.refusal()
		if took := time.Since(begun); took > time.Second {
			t.Fatalf("the runtime waited %v", took)
		}
	}
	if said := readyz(t, c.address); said != "ok\n" {
		t.Errorf("/readyz says %s", said)
	}
	c.metric(`nri_sriov_refusals_total{reason="NotAllowed"} 300`)
	c.metric(`nri_sriov_api_waiting{kind="event"} 300`)
	if took := c.stop(); took > 5*time.Second {
		t.Errorf("the daemon took %v to end", took)
	}
}

// TestStartThatFails: the daemon ends, says why of its node, and taints it where the config says so. A config may be valid and
// ask for what the node does not have.
func TestStartThatFails(t *testing.T) {
	t.Parallel()
	sysfs := sysfsOf(t, "lo").Dir
	for _, one := range []struct{ config, sysfs, reason, sentence, taints string }{
		{networksNamed("a", "a"), sysfs, "ConfigRefused", `config.yaml:5: networks[1].name: "a" is already networks[0]`, ""},
		{wantsVFs(9), sysfs, "ConfigRefused", "numVFs is 9, but the device can have 4", ""},
		{wantsVFs(9) + "taint: true\n", sysfs, "ConfigRefused", "numVFs is 9, but the device can have 4", `{"effect":"NoSchedule","key":"sriov.nri.io/not-ready"}`},
		{networksNamed("a"), "/nowhere", "StartFailed", "/nowhere: no such file", ""},
	} {
		server, dir := apitest.New(t), t.TempDir()
		server.PutNode("n1")
		mustDo(t, os.WriteFile(dir+"/config.yaml", []byte(one.config), 0o600),
			os.WriteFile(dir+"/kubeconfig", fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c}}]\n", server.URL()), 0o600))
		code, text := cli(t, "run", "--config", dir+"/config.yaml", "--kubeconfig", dir+"/kubeconfig", "--node-name", "n1", "--log-level", "error", "--listen", "",
			"--sysfs", one.sysfs, "--state-dir", dir+"/state", "--run-dir", dir+"/run")
		if code != exitFailed {
			t.Errorf("ends with %d: %s", code, text)
		}
		if all := server.Events(); len(all) != 1 || all[0].Reason != one.reason || !strings.Contains(all[0].Message, one.sentence) {
			t.Errorf("said %+v", all)
		}
		if taints := strings.Join(server.Taints("n1"), " "); taints != one.taints {
			t.Errorf("%s: the node bears %s", one.sentence, taints)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	mustDo(t, err, listener.Close())
	return listener.Addr().String()
}

// TestHangupAtTheStart: a daemon that is told to read its config again before it watches it lives on.
func TestHangupAtTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	mustDo(t, os.WriteFile(file, []byte("broken"), 0o600))
	if err := run(t.Context(), runFlags{config: file, logLevel: "error", logFormat: "text"}); err == nil {
		t.Fatal("a broken config is no error")
	}
	mustDo(t, syscall.Kill(os.Getpid(), syscall.SIGHUP)) // which ends a process that does not listen
	time.Sleep(50 * time.Millisecond)
}
