package check

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/vf/vftest"
)

// draw writes findings as lines of status and subject.
func draw(findings []Finding) string {
	var lines []string
	for _, one := range findings {
		lines = append(lines, fmt.Sprintf("%s %s", one.Status, one.Subject))
	}
	return strings.Join(lines, "\n")
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestGoodNode(t *testing.T) {
	dir, err := os.MkdirTemp("", "check") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "enp1s0", Driver: "igb", TotalVFs: 7, NUMANode: -1})
	tree.AddVF("0000:01:10.0", "0000:01:00.0", 0, vftest.VF{Interface: "v0", Driver: "igbvf", IOMMUGroup: 4})
	listener, err := net.Listen("unix", filepath.Join(dir, "nri.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	findings := Node(Paths{
		Config: write(t, filepath.Join(dir, "config.yaml"), "apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks: [{name: a}]\n"),
		Sysfs:  tree.Dir, NRISocket: filepath.Join(dir, "nri.sock"),
		ContainerdConfig: write(t, filepath.Join(dir, "config.toml"),
			"version = 3\n[plugins.'io.containerd.nri.v1.nri'.default_validator]\nenable = true\nrequired_plugins = ['nri-sriov']\n"+
				"tolerate_missing_plugins_annotation = 'tolerate-missing-plugins.noderesource.dev'\n"),
	})
	want := "ok config\nok kernel\nok PF enp1s0\nwarning VF 0 of enp1s0\nok IOMMU\nok NRI socket\nok containerd's NRI\nok required_plugins"
	if diff := cmp.Diff(want, draw(findings)); diff != "" || Failed(findings) {
		t.Error(diff, findings)
	}
}

func TestBadNode(t *testing.T) {
	dir := t.TempDir()
	tree := vftest.NewSysfs(t)
	tree.AddPF("0000:01:00.0", vftest.PF{Interface: "enp1s0", Driver: "igb", TotalVFs: 7, NUMANode: -1})
	paths := Paths{
		Config: write(t, filepath.Join(dir, "config.yaml"),
			"apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nproviders: [{pf: enp9s0}]\nnetworks: [{name: a}]\n"),
		Sysfs: tree.Dir, NRISocket: filepath.Join(dir, "none"),
		ContainerdConfig: write(t, filepath.Join(dir, "config.toml"), "version = 2\n[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n"),
	}
	findings := Node(paths)
	want := "ok config\nok kernel\nfailure PF enp9s0\nwarning PF enp1s0\nwarning IOMMU\nfailure NRI socket\nfailure containerd's NRI\nwarning required_plugins"
	if diff := cmp.Diff(want, draw(findings)); diff != "" || !Failed(findings) {
		t.Error(diff)
	}
	for _, one := range findings {
		if one.Status == Failure && one.Mend == "" {
			t.Errorf("no mend: %+v", one)
		}
	}
	write(t, paths.Config, "kind: NodeConfig\n")
	if findings := Node(paths); findings[0].Status != Failure || !strings.Contains(findings[0].Message, "config.yaml:") {
		t.Errorf("an invalid config: %+v", findings[0])
	}
}

func TestContainerdSettings(t *testing.T) {
	for _, c := range []struct{ name, text, drop, want string }{
		{"version 1", "disabled_plugins = []\n", "", "warning containerd's NRI\nwarning required_plugins"},
		{"version 4", "version = 4\n", "", "ok containerd's NRI\nwarning required_plugins"},
		{"silent version 2", "version = 2\n", "", "warning containerd's NRI\nwarning required_plugins"},
		{"silent version 3", "version = 3\n", "", "ok containerd's NRI\nwarning required_plugins"},
		{"no connections", "version = 3\n[plugins.'io.containerd.nri.v1.nri']\ndisable_connections = true\n", "",
			"ok containerd's NRI\nfailure containerd's NRI\nwarning required_plugins"},
		{"timeouts", "version = 3\n[plugins.'io.containerd.nri.v1.nri']\nplugin_request_timeout = '500ms'\n", "",
			"ok containerd's NRI\nwarning containerd's NRI\nwarning required_plugins"},
		{"no duration", "version = 3\n[plugins.'io.containerd.nri.v1.nri']\nplugin_request_timeout = 'soon'\n", "",
			"ok containerd's NRI\nfailure containerd's NRI\nwarning required_plugins"},
		{"an import wins", "version = 3\nimports = ['drop/*.toml']\n", "[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n",
			"failure containerd's NRI\nwarning required_plugins"},
		{"locked out", "version = 3\n[plugins.'io.containerd.nri.v1.nri'.default_validator]\nenable = true\nrequired_plugins = ['nri-sriov']\n", "",
			"ok containerd's NRI\nwarning required_plugins"},
		{"no TOML", "version = \n", "", "warning containerd's NRI"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "drop", "one.toml"), c.drop)
			findings := checkContainerd(write(t, filepath.Join(dir, "config.toml"), c.text))
			if diff := cmp.Diff(c.want, draw(findings)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestContainerdMends: a config with the lines that check prints is one that check has nothing against.
func TestContainerdMends(t *testing.T) {
	for _, text := range []string{
		"", "version = 2\n", "version = 3\n", "version = 4\n", "version = 2\n[plugins.'io.containerd.nri.v1.nri'.default_validator]\nrequired_plugins = ['other']\n",
		"version = 3\n[plugins.'io.containerd.nri.v1.nri'.default_validator]\nenable = true\nrequired_plugins = ['nri-sriov']\n",
	} {
		dir := t.TempDir()
		main := filepath.Join(dir, "config.toml")
		if text != "" {
			write(t, main, text)
		}
		drops, mended := 0, ""
		for _, one := range checkContainerd(main) {
			if one.Status == OK && (text != "" || one.Mend == "") {
				continue
			}
			before, lines, found := strings.Cut(one.Mend, ":\n")
			if !found || !strings.Contains(before, main) {
				t.Fatalf("the mend %q has no lines for %s", one.Mend, main)
			}
			if one.Subject == "required_plugins" && !strings.Contains(before, "2.2 and later") {
				t.Errorf("%q does not say which containerd it is for", before)
			}
			if text != "" {
				write(t, filepath.Join(dir, fmt.Sprintf("%d.toml", drops)), lines)
			} else {
				mended = lines
			}
			drops++
		}
		if drops == 0 {
			t.Fatalf("nothing is to be mended of %q", text)
		}
		write(t, main, strings.Replace(text, "\n", "\nimports = ['[0-9].toml']\n", 1)+mended)
		for _, one := range checkContainerd(main) {
			if one.Status != OK {
				t.Errorf("%q is mended, and check says %+v", text, one)
			}
		}
		if all, err := readContainerd(main); err != nil || all.Version < 2 || strings.Contains(text, "other") &&
			!slices.Equal(all.Plugins[nriPlugin].Validator.RequiredPlugins, []string{"other", "nri-sriov"}) {
			t.Errorf("%q became %+v, %v", text, all, err)
		}
	}
}

func TestKernel(t *testing.T) {
	for release, want := range map[string]Status{
		"6.12.48+deb13-amd64": OK, "5.14.0-570.el9.x86_64": OK, "5.13.19": Failure, "4.18.0-553.el8": Failure, "who knows": Warning,
	} {
		if got := checkKernel(write(t, filepath.Join(t.TempDir(), "osrelease"), release+"\n")); got.Status != want {
			t.Errorf("%s: %+v", release, got)
		}
	}
}
