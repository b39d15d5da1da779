package config

import "testing"

// TestResource: a network is counted under its own name, or under that of the plugin that has its VFs.
func TestResource(t *testing.T) {
	node, err := Parse("config.yaml", []byte(head+`networks:
  - name: fast-path.a
  - name: b
    requireResource: true
  - name: c
    resourceName: intel.com/sriov_netdevice
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		resource string
		needs    bool
	}{{"sriov.nri.io/fast-path.a", false}, {"sriov.nri.io/b", true}, {"intel.com/sriov_netdevice", true}} {
		if one := node.Networks[i]; one.Resource() != want.resource || one.NeedsKubelet() != want.needs {
			t.Errorf("%s: %s, needs the kubelet: %v", one.Name, one.Resource(), one.NeedsKubelet())
		}
	}
}
