package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nri-sriov/nri-sriov/"

// rooms are the packages from the top down. One may import those below it, in the rows after its own.
var rooms = [][]string{
	{"cmd/nri-sriov", "tools/image"},
	{"pkg/kube/report"},
	{"pkg/hooks", "pkg/check", "pkg/sriovcni"},
	{"pkg/candidate"},
	{"pkg/attach", "pkg/kube/kubelet"},
	{"pkg/request"},
	{"pkg/inventory"},
	{"pkg/config"},
	{"pkg/journal", "pkg/cni", "pkg/strictyaml", "pkg/dpdk", "pkg/placement", "pkg/kube/podresources", "pkg/kube/deviceplugin"},
	{"pkg/kube/status", "pkg/kube/events", "pkg/kube/taint"},
	{"pkg/kube/queue"},
	{"pkg/kube/api"},
	{"pkg/vf"},
	{"pkg/failpoint"},
}

// never says who alone may import a package from outside, and why.
var never = []struct {
	prefix string
	rooms  []string
	why    string
}{
	{"github.com/vishvananda/", []string{"pkg/vf"}, "the kernel is reached through pkg/vf only"},
	{"golang.org/x/sys/unix", []string{"pkg/vf", "pkg/dpdk", "cmd/nri-sriov"}, "system calls are pkg/vf's and pkg/dpdk's; cmd takes its lock with one"},
	{"github.com/containerd/nri", []string{"pkg/hooks", "cmd/nri-sriov"}, "NRI's words stay in hooks and cmd"},
	{"github.com/containernetworking/", []string{"pkg/cni"}, "CNI's words stay in cni"},
	{"github.com/sirupsen/logrus", []string{"pkg/hooks", "pkg/attach", "pkg/kube/kubelet", "pkg/kube/deviceplugin", "cmd/nri-sriov"},
		"what stands below attach returns errors and never logs, but for what goes on beside the pods"},
	{"k8s.io/kubelet/pkg/apis/deviceplugin", []string{"pkg/kube/deviceplugin"}, "the kubelet's words stay in the two packages that talk to it"},
	{"k8s.io/kubelet/pkg/apis/podresources", []string{"pkg/kube/podresources"}, "the kubelet's words stay in the two packages that talk to it"},
	{"k8s.io/client-go", []string{"pkg/kube/api", "pkg/kube/report"}, "the API server is reached through pkg/kube/api only"},
	{"github.com/spf13/cobra", []string{"cmd/nri-sriov"}, "the command line is cmd's"},
}

func TestArrowsPointDown(t *testing.T) {
	row := map[string]int{}
	for i, each := range rooms {
		for _, room := range each {
			row[room] = i
		}
	}
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasSuffix(room, "test") || strings.HasPrefix(room, "configs") {
			continue // for tests only
		}
		if strings.HasPrefix(room, "test/e2e") {
			for _, imported := range append(p.Imports, p.TestImports...) {
				if strings.HasPrefix(imported, module+"pkg/") {
					t.Errorf("%s imports %s: the end-to-end tests know the contract, not the code", room, imported)
				}
			}
			continue
		}
		from, known := row[room]
		if !known {
			t.Errorf("%s has no place among the rooms: give it one here and in ARCHITECTURE.md", room)
			continue
		}
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours && row[to] <= from {
				t.Errorf("%s imports %s: arrows point down only", room, to)
			}
			for _, rule := range never {
				if strings.HasPrefix(imported, rule.prefix) && !slices.Contains(rule.rooms, room) {
					t.Errorf("%s imports %s: %s", room, imported, rule.why)
				}
			}
		}
	}
}

type listed struct {
	ImportPath           string
	Imports, TestImports []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	output, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var one listed
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}
