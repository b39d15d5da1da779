package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/candidate"
	"github.com/nri-sriov/nri-sriov/pkg/cni"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const podConfig = `
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - {name: public, namespaces: [prod], vlan: {id: 100}, required: [CUSTOM_PUBLIC]}
  - {name: counted, requireResource: true}
  - {name: fast, device: vfio}
  - {name: leased, ipam: {type: there}}
  - {name: lacking, ipam: {type: absent}}
  - {name: fixed, ipam: {type: static, addresses: [{address: 192.0.2.10/24}]}}
  - {name: few, maxPerNamespace: 1}
`

// podNode has two PFs of two VFs with IOMMU groups; the first is public, and one VF of it is in use.
func podNode(t *testing.T) candidate.Node {
	t.Helper()
	parsed, err := config.Parse("config.yaml", []byte(podConfig))
	if err != nil {
		t.Fatal(err)
	}
	var providers []*inventory.Provider
	for i, traits := range [][]string{{"CUSTOM_PUBLIC"}, nil} {
		p := &inventory.Provider{PF: vf.PF{Address: vf.PCIAddress{Bus: uint8(i + 1)}, Interface: fmt.Sprint("pf", i), NUMANode: -1}, Traits: traits}
		p.Whole = &inventory.VF{State: inventory.Free, VF: vf.VF{Address: p.PF.Address, ID: -1}}
		for id := range 2 {
			address := vf.PCIAddress{Bus: uint8(i + 1), Function: uint8(id + 1)}
			p.VFs = append(p.VFs, &inventory.VF{VF: vf.VF{Address: address, ID: id, IOMMUGroup: 10*i + id}, State: inventory.Free})
		}
		providers = append(providers, p)
	}
	providers[0].VFs[0].State, providers[0].VFs[0].Sandbox = inventory.Attached, "s"
	return candidate.Node{Config: parsed, Tree: inventory.NewPool(providers).Tree("host")}
}

// TestPod: what keeps a pod from working is said, each thing of it, and nothing else.
func TestPod(t *testing.T) {
	plugins := t.TempDir()
	if err := os.WriteFile(filepath.Join(plugins, "there"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	const plain = `{containers: [{name: app}]}`
	for name, c := range map[string]struct {
		networks, spec, want string
	}{
		"served":           {`[{network: public, name: up0}]`, plain, `ok annotation: entries: 1 | ok network "public" as up0: a VF as netdev, VLAN 100 | ok VFs: 1;`},
		"malformed":        {`[{netwrk: public}]`, plain, `failure annotation: unknown key "netwrk"`},
		"not allowed":      {`[{network: public, mac: "02:00:00:00:00:01"}, {network: none}]`, plain, `ok annotation: | failure network "public" as net1: "allow" lacks "mac" | failure network "none" as net2: does not define it`},
		"waits":            {`[{network: public, count: 2}]`, plain, `ok annotation: | ok network "public" as net1, net2: | warning VFs: pf0`},
		"never":            {`[{network: public, count: 3}]`, plain, `ok annotation: | ok network "public" as net1, net2, net3: | failure VFs: pf0`},
		"unknown trait":    {`[{network: fast, required: [CUSTOM_TYPO]}]`, `{containers: [{name: app, resources: {limits: {hugepages-2Mi: 512Mi}}}]}`, `ok annotation: | ok network "fast" as net1: a VF as vfio | failure VFs: CUSTOM_TYPO`},
		"quota":            {`few, few`, plain, `ok annotation: | ok network "few" as net1: | ok network "few" as net2: | failure annotation: maxPerNamespace`},
		"host network":     {`few`, `{hostNetwork: true, containers: [{name: app}]}`, `ok annotation: | failure network "few" as net1: hostNetwork: false | ok VFs:`},
		"users":            {`fast`, `{hostUsers: false, containers: [{name: app, resources: {limits: {hugepages-1Gi: 1Gi}}}]}`, `ok annotation: | failure network "fast" as net1: hostUsers: true | ok VFs:`},
		"kata":             {`few`, `{runtimeClassName: kata-qemu, containers: [{name: app}]}`, `ok annotation: | failure network "few" as net1: Kata | ok VFs:`},
		"no huge pages":    {`fast`, plain, `ok annotation: | ok network "fast" as net1: | warning container app: no huge pages | ok VFs:`},
		"who gets it":      {`[{network: fast, containers: [dpdk]}]`, `{containers: [{name: app}, {name: dpdk, resources: {limits: {hugepages-2Mi: 1Gi}}}]}`, `ok annotation: | ok network "fast" as net1: | ok VFs:`},
		"nobody gets it":   {`[{network: fast, containers: [dpdk]}]`, plain, `ok annotation: | ok network "fast" as net1: | failure network "fast" as net1: no container "dpdk" | ok VFs:`},
		"plugin":           {`leased`, plain, `ok annotation: | ok network "leased" as net1: addresses from there | ok VFs:`},
		"no plugin":        {`lacking`, plain, `ok annotation: | failure network "lacking" as net1: ipam plugin "absent" | ok VFs:`},
		"static":           {`[{network: fixed, count: 2}]`, plain, `ok annotation: | failure network "fixed" as net1, net2: static addresses`},
		"uncounted":        {`counted`, plain, `ok annotation: | ok network "counted" as net1: | failure network "counted": sriov.nri.io/counted | ok VFs:`},
		"counted":          {`counted`, `{containers: [{name: a}, {name: b, resources: {limits: {sriov.nri.io/counted: "1"}}}]}`, `ok annotation: | ok network "counted" as net1: | ok VFs:`},
		"another number":   {`few`, `{containers: [{name: a, resources: {limits: {sriov.nri.io/few: 2}}}]}`, `ok annotation: | ok network "few" as net1: | failure network "few": for 1 and the containers for 2 | ok VFs:`},
		"no number":        {`few`, `{containers: [{name: a, resources: {limits: {sriov.nri.io/few: 1.5}}}]}`, `failure container a: not a whole number | ok annotation: | ok network "few" as net1: | ok VFs:`},
		"sidecar":          {`counted`, `{initContainers: [{name: i, restartPolicy: Always, resources: {limits: {sriov.nri.io/counted: 1}}}], containers: [{name: a}]}`, `ok annotation: | ok network "counted" as net1: | ok VFs:`},
		"init container":   {`counted`, `{initContainers: [{name: i, resources: {limits: {sriov.nri.io/counted: 1}}}], containers: [{name: a}]}`, `ok annotation: | ok network "counted" as net1: | failure network "counted": sriov.nri.io/counted | ok VFs:`},
		"resources alone":  {``, `{containers: [{name: a, resources: {limits: {sriov.nri.io/counted: 2}}}]}`, `ok annotation: entries: 0, devices: 2, of which 2 | ok network "counted" as net1: | ok network "counted" as net2: | ok VFs:`},
		"resources beside": {`[{network: few, name: net1}]`, `{containers: [{name: a, resources: {limits: {sriov.nri.io/counted: 1}}}]}`, `ok annotation: entries: 1, devices: 2, of which 1 | ok network "few" as net1: | ok network "counted" as net2: | ok VFs:`},
		"far too many":     {``, `{containers: [{name: a, resources: {limits: {sriov.nri.io/counted: "2000000000"}}}]}`, `failure annotation: a pod may have 32`},
		"nothing":          {``, plain, `warning annotation: no VF`},
	} {
		t.Run(name, func(t *testing.T) {
			manifest := "kind: Deployment\nmetadata: {namespace: prod}\nspec: {template: {metadata: {annotations: {}}, spec: " + c.spec + "}}"
			if c.networks != "" {
				manifest = strings.Replace(manifest, "annotations: {}", fmt.Sprintf("annotations: {sriov.nri.io/networks: %q}", c.networks), 1)
			}
			pod, err := candidate.ReadManifest([]byte(manifest), "default")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			findings := Pod(pod, podNode(t), cni.NewIPAM([]string{plugins}))
			wants := strings.Split(c.want, " | ")
			for i, one := range findings {
				line := fmt.Sprintf("%s %s: ", one.Status, one.Subject)
				if i < len(wants) {
					if piece, ok := strings.CutPrefix(wants[i]+" ", line); ok && strings.Contains(one.Message, strings.TrimSpace(piece)) {
						line = wants[i]
					} else {
						line += one.Message
					}
				}
				got = append(got, line)
				if one.Status == Warning && one.Mend == "" {
					t.Errorf("%s: nobody says what to do", one.Message)
				}
			}
			if diff := cmp.Diff(wants, got); diff != "" {
				t.Errorf("%s\n%+v", diff, findings)
			}
		})
	}
}
