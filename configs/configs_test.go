// Package configs holds the examples; its tests parse each of them.
package configs

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/check"
)

func TestContainerdDropIn(t *testing.T) {
	for name, wanted := range map[string]struct {
		version  int
		required bool
	}{"nri-sriov.toml": {3, true}, "nri-sriov-1.7.toml": {2, false}} {
		t.Run(name, func(t *testing.T) { containerdDropIn(t, name, wanted.version, wanted.required) })
	}
}

func containerdDropIn(t *testing.T, file string, version int, required bool) {
	dir := t.TempDir()
	main := dir + "/config.toml"
	drop, err := os.ReadFile("containerd/" + file)
	if err != nil {
		t.Fatal(err)
	}
	begin := fmt.Sprintf("version = %d\n", version)
	if !strings.Contains(string(drop), "\n"+begin) { // a file that is imported sets the version of all
		t.Errorf("the drop-in does not say %s", begin)
	}
	for name, text := range map[string]string{main: begin + "imports = [\"conf.d/*.toml\"]\n", dir + "/conf.d/nri-sriov.toml": string(drop)} {
		if err := os.MkdirAll(dir+"/conf.d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := map[string]bool{}
	for _, one := range check.Node(check.Paths{Config: dir + "/none", Sysfs: dir, NRISocket: dir + "/none", ContainerdConfig: main}) {
		if one.Subject == "containerd's NRI" || one.Subject == "required_plugins" {
			good[one.Subject] = one.Status == check.OK
			if good[one.Subject] != (required || one.Subject != "required_plugins") {
				t.Errorf("check says %+v", one)
			}
		}
	}
	if len(good) != 2 {
		t.Errorf("check says nothing of %v", good)
	}
}

// known are the directives that the unit may have; systemd ignores what it does not know with a warning only.
var known = []string{
	"Description", "Documentation", "After", "Before", "Type", "ExecStart", "Restart", "RestartSec", "TimeoutStopSec",
	"RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve", "StateDirectory", "StateDirectoryMode",
	"CapabilityBoundingSet", "NoNewPrivileges", "RestrictAddressFamilies", "RestrictNamespaces", "LockPersonality",
	"MemoryDenyWriteExecute", "SystemCallArchitectures", "StartLimitIntervalSec", "WantedBy",
}

func TestSystemdUnit(t *testing.T) {
	file, err := os.Open("systemd/nri-sriov.service")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	values, sections := map[string]string{}, []string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			sections = append(sections, line)
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !slices.Contains(known, key) {
			t.Errorf("line %q has no directive that is known", line)
		}
		values[key] = value
	}
	if strings.Join(sections, "") != "[Unit][Service][Install]" {
		t.Errorf("sections: %v", sections)
	}
	for key, want := range map[string]string{
		"ExecStart": "/usr/local/bin/nri-sriov run", "Restart": "always", "RuntimeDirectory": "nri-sriov",
		"RuntimeDirectoryPreserve": "yes", "StateDirectory": "nri-sriov", "WantedBy": "multi-user.target",
	} {
		if values[key] != want {
			t.Errorf("%s is %q, wanted %q", key, values[key], want)
		}
	}
	// A mount namespace of its own would hide or hold pods' network namespaces.
	for _, key := range []string{"PrivateTmp", "ProtectSystem", "ProtectHome", "PrivateMounts", "PrivateNetwork", "ProtectKernelTunables"} {
		if _, there := values[key]; there {
			t.Errorf("%s gives the daemon a namespace of its own", key)
		}
	}
}
