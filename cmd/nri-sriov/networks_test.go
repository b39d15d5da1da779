package main

import (
	"os"
	"testing"
)

// TestNetworksForAdmission: who may use a network by any of the nodes' configs.
func TestNetworksForAdmission(t *testing.T) {
	dir := t.TempDir()
	const head = "apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\nnetworks:\n"
	mustDo(t,
		os.WriteFile(dir+"/a.yaml", []byte(head+"  - {name: public, namespaces: [prod]}\n  - {name: storage, namespaces: [team-*, prod]}\n  - name: open\n"), 0o600),
		os.WriteFile(dir+"/b.yaml", []byte(head+"  - {name: storage, namespaces: [prod, dev]}\n  - {name: open, namespaces: [prod]}\n"), 0o600))
	want := "apiVersion: v1\ndata:\n  open: '*'\n  public: prod\n  storage: dev prod team-*\nkind: ConfigMap\nmetadata:\n  name: nri-sriov-networks\n  namespace: nri-sriov\n"
	if code, text := cli(t, "networks", dir+"/a.yaml", dir+"/b.yaml"); code != 0 || text != want {
		t.Errorf("%d: %s", code, text)
	}
	if code, text := cli(t, "networks", dir+"/none.yaml"); code != exitFailed {
		t.Errorf("without a config: %d: %s", code, text)
	}
}
