package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// cli runs a command line and gives its exit code and what it prints.
func cli(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	var text bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&text)
	root.SetErr(&text)
	return exitCode(root.ExecuteContext(t.Context())), text.String()
}

// sysfs is a node with one PF and one VF, which is not in this host's network namespace.
func sysfs(t *testing.T) string {
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "enp1s0", Driver: "igb", TotalVFs: 7, NUMANode: 0})
	tree.AddVF("0000:01:10.0", "0000:01:00.0", 0, vftest.VF{Driver: "igbvf", IOMMUGroup: 3})
	return tree.Dir
}

func TestExitCodes(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"version"}, 0},
		{[]string{"--help"}, 0},
		{[]string{}, 2},
		{[]string{"nonsense"}, 2},
		{[]string{"inventory", "-o", "xml"}, 2},
		{[]string{"inventory", "extra"}, 2},
		{[]string{"run", "--plugin-index", "7"}, 2},
		{[]string{"run", "--log-format", "xml"}, 2},
		{[]string{"run", "--log-level", "loud"}, 2},
		{[]string{"release"}, 2},
		{[]string{"pods", "--run-dir", none}, 1},
		{[]string{"release", "s1", "--run-dir", none}, 1},
		{[]string{"candidates", "-f", none}, 1},
		{[]string{"candidates"}, 2},
		{[]string{"check", "--sysfs", none, "--config", none}, 1},
		{[]string{"check", "-f", none}, 1},
	} {
		if code, output := cli(t, c.args...); code != c.want {
			t.Errorf("%v ends with %d, wanted %d\n%s", c.args, code, c.want, output)
		}
	}
}

func TestInventoryWithoutSRIOV(t *testing.T) {
	code, output := cli(t, "inventory", "--sysfs", t.TempDir(), "--run-dir", t.TempDir(), "--config", "/none")
	if code != 0 || !strings.Contains(output, "This machine has no NIC with SR-IOV") {
		t.Errorf("%d\n%s", code, output)
	}
}

func TestInventoryForms(t *testing.T) {
	args := []string{"inventory", "--sysfs", sysfs(t), "--run-dir", t.TempDir(), "--config", "/none"}
	code, text := cli(t, args...)
	for _, line := range []string{
		"pf enp1s0 0000:01:00.0: SRIOV_NET_VF 0 of 0 used [CUSTOM_DEVICE_NETDEV CUSTOM_DEVICE_VFIO CUSTOM_DRIVER_IGB CUSTOM_NUMA_0 CUSTOM_VENDOR_8086 HW_NIC_SRIOV]",
		"vf 0 0000:01:10.0 igbvf excluded: has no interface in the host: it is in another network namespace without our record",
	} {
		if code != 0 || !strings.Contains(text, line) {
			t.Errorf("%d: no %q in\n%s", code, line, text)
		}
	}
	_, text = cli(t, append(args, "-o", "json")...)
	var tree struct{ Providers []struct{ Class string } }
	if err := json.Unmarshal([]byte(text), &tree); err != nil || len(tree.Providers) != 3 {
		t.Errorf("%v in\n%s", err, text)
	}
	if _, text = cli(t, append(args, "-o", "yaml")...); !strings.Contains(text, "pciAddress: \"0000:01:10.0\"") && !strings.Contains(text, "pciAddress: 0000:01:10.0") {
		t.Errorf("the YAML is\n%s", text)
	}
}

func TestCheckPrintsJSON(t *testing.T) {
	code, text := cli(t, "check", "-o", "json", "--sysfs", sysfs(t), "--config", "/none", "--nri-socket", "/none", "--containerd-config", "/none")
	var answer struct {
		Findings []struct{ Status, Subject, Message, Mend string }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	found := map[string]string{}
	for _, one := range answer.Findings {
		found[one.Subject] = one.Status
	}
	if code != 1 || found["config"] != "ok" || found["NRI socket"] != "failure" || found["PF enp1s0"] != "ok" || found["VF 0 of enp1s0"] != "warning" {
		t.Errorf("%d, %v", code, found)
	}
}

// TestCheckOfAPod: the exit code tells whether it would work.
func TestCheckOfAPod(t *testing.T) {
	for text, want := range map[string]struct {
		code  int
		piece string
	}{
		`{kind: Pod, metadata: {annotations: {sriov.nri.io/networks: default}}, spec: {containers: [{name: a}]}}`: {1, "failure  VFs: "},
		`{kind: Pod, metadata: {annotations: {sriov.nri.io/networks: other}}, spec: {containers: [{name: a}]}}`:   {1, `failure  network "other" as net1: `},
		`{kind: Pod, spec: {containers: [{name: a}]}}`:                                                            {0, "warning  annotation: there is none"},
		`default`:                     {1, "is not the manifest of a pod"},
		"kind: Pod\n---\nkind: Pod\n": {1, "several documents"},
		`{kind: ConfigMap, data: {networks: any}}`: {1, "it has no containers"},
	} {
		file := filepath.Join(t.TempDir(), "pod.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args := []string{"check", "-f", file, "--sysfs", sysfs(t), "--run-dir", t.TempDir(), "--config", "/none"}
		code, output := cli(t, args...)
		if code == 1 && output == "" { // an error, which main prints
			root := newRoot()
			root.SetArgs(args)
			output = root.ExecuteContext(t.Context()).Error()
		}
		if code != want.code || !strings.Contains(output, want.piece) {
			t.Errorf("%s: %d, no %q in\n%s", text, code, want.piece, output)
		}
	}
}

// TestPodsTable talks to a daemon that knows one pod.
func TestPodsTable(t *testing.T) {
	dir := t.TempDir()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	list := podList{Pods: []podView{{
		Sandbox: "0123456789abcdef", Namespace: "prod", Name: "web",
		Attachments: []attachmentView{{Network: "public", Interface: "net1", Device: "netdev", PCIAddress: "0000:01:10.0", PF: "enp1s0", VFID: 3, State: "attached"}},
	}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/pods", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(list) })
	mux.HandleFunc("POST /v1/release/{sandbox}", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such sandbox", 404) })
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	code, text := cli(t, "pods", "--run-dir", dir)
	if line := "prod/web  0123456789ab  public   net1       netdev  enp1s0  3   0000:01:10.0  attached"; code != 0 || !strings.Contains(text, line) {
		t.Errorf("%d: no %q in\n%s", code, line, text)
	}
	if code, _ := cli(t, "release", "s1", "--run-dir", dir); code != 1 {
		t.Errorf("the release of nothing ends with %d", code)
	}
}
