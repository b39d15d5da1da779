// Package configs holds the examples; its tests parse each of them.
package configs

import (
	"os"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/check"
)

func TestContainerdDropIn(t *testing.T) {
	dir := t.TempDir()
	main := dir + "/config.toml"
	drop, err := os.ReadFile("containerd/nri-sriov.toml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{main: "version = 3\nimports = [\"conf.d/*.toml\"]\n", dir + "/conf.d/nri-sriov.toml": string(drop)} {
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
			if one.Status != check.OK {
				t.Errorf("check says %+v", one)
			}
		}
	}
	if len(good) != 2 {
		t.Errorf("check says nothing of %v", good)
	}
}
