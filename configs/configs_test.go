// Package configs holds the examples; its tests parse each of them.
package configs

import (
	"fmt"
	"os"
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
