package candidate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

const nodeConfig = `
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - name: public
    namespaces: [prod]
    required: [CUSTOM_PUBLIC]
  - name: metered
    namespaces: [prod]
    maxTxRate: 600
  - name: nic
    resourceClass: SRIOV_NET_PF
  - name: fast
    device: vfio
`

// node has two PFs of two VFs: the first is public, has 1 Gbit/s, and an IOMMU; the second has a VF in use.
func node(t *testing.T) func() (Node, error) {
	t.Helper()
	parsed, err := config.Parse("config.yaml", []byte(nodeConfig))
	if err != nil {
		t.Fatal(err)
	}
	var providers []*inventory.Provider
	for i, traits := range [][]string{{"CUSTOM_PUBLIC"}, {"CUSTOM_STORAGE"}} {
		p := &inventory.Provider{
			PF:     vf.PF{Address: vf.PCIAddress{Bus: uint8(i + 1)}, Interface: fmt.Sprint("pf", i), NUMANode: -1, IOMMUGroup: -i},
			Traits: traits,
		}
		p.Whole = &inventory.VF{State: inventory.Free, VF: vf.VF{Address: p.PF.Address, ID: -1}}
		for id := range 2 {
			one := &inventory.VF{VF: vf.VF{Address: vf.PCIAddress{Bus: uint8(i + 1), Function: uint8(id + 1)}, ID: id, IOMMUGroup: -1}, State: inventory.Free}
			p.VFs = append(p.VFs, one)
		}
		providers = append(providers, p)
	}
	providers[0].Bandwidth.Egress = 1_000_000
	providers[1].VFs[0].State, providers[1].VFs[0].Sandbox = inventory.Attached, "s"
	tree := inventory.NewPool(providers).Tree("host")
	return func() (Node, error) { return Node{Config: parsed, Tree: tree}, nil }
}

func TestAsk(t *testing.T) {
	manifest := func(annotations ...string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata:\n  namespace: prod\n  annotations:\n    " + strings.Join(annotations, "\n    ") + "\n"
	}
	const requests = "sriov.nri.io/networks: "
	for name, c := range map[string]struct{ file, want string }{
		"pod":             {manifest(requests + "public"), "candidates 1=pf0"},
		"named":           {manifest(requests + "public@up0"), "candidates up0=pf0"},
		"count":           {manifest(requests + "'[{network: metered, name: m, count: 2}]'"), "no-candidates"},
		"rates":           {manifest(requests + "metered"), "candidates 1=pf0|1=pf1"},
		"rates add up":    {manifest(requests + "metered, metered"), "candidates 1=pf0 2=pf1|1=pf1 2=pf0"},
		"isolate":         {manifest(requests+"metered, metered", "sriov.nri.io/group-policy: isolate"), "candidates 1=pf0 2=pf1|1=pf1 2=pf0"},
		"whole":           {manifest(requests + "nic"), "candidates 1=pf0"},
		"whole and parts": {manifest(requests + "nic, public"), "no-candidates"},
		"vfio":            {manifest(requests + "fast"), "candidates 1=pf0"},
		"bare":            {"[{network: public}]", "candidates 1=pf0"},
		"bare line":       {"public, nic", "no-candidates"},
		"deployment": {"kind: Deployment\nmetadata: {namespace: prod}\nspec: {template: {metadata: {annotations: {sriov.nri.io/networks: public}}}}",
			"candidates 1=pf0"},
		"question":        {`{"request": {"groups": {"": {"resources": {"SRIOV_NET_VF": 2}}}}}`, "candidates =pf0"},
		"own providers":   {`{"providers": [{"name": "a"}], "request": {"groups": {"": {"resources": {"SRIOV_NET_VF": 2}}}}}`, "no-candidates"},
		"unknown network": {manifest(requests + "none"), "bad-request"},
		"unknown trait":   {manifest(requests + "'[{network: public, required: [CUSTOM_TYPO]}]'"), "bad-request"},
		"no annotation":   {manifest("other: x"), "bad-request"},
		"another's":       {"kind: Pod\nmetadata: {namespace: team, annotations: {sriov.nri.io/networks: public}}", "bad-request"},
		"garbage":         {"\x00", "bad-request"},
		"unknown key":     {`{"request": {"groups": {}}, "more": 1}`, "bad-request"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := Ask([]byte(c.file), "prod", node(t))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, one := range answer.Candidates {
				var parts []string
				for group, providers := range one.Mappings {
					parts = append(parts, group+"="+strings.Join(providers, ","))
				}
				slices.Sort(parts)
				lines = append(lines, strings.Join(parts, " "))
			}
			slices.Sort(lines)
			if got := strings.TrimSpace(answer.Outcome + " " + strings.Join(lines, "|")); got != c.want {
				text, _ := json.Marshal(answer) // for people
				t.Errorf("%s\nwanted %s\n%s", got, c.want, text)
			}
			if len(answer.Candidates) == 0 && len(answer.Reasons) == 0 {
				t.Error("no reason is given")
			}
		})
	}
}

func TestAskNeedsNoNodeForAQuestionWithProviders(t *testing.T) {
	unread := func() (Node, error) { return Node{}, errors.New("the node was read") }
	if _, err := Ask([]byte(`{"providers": [], "request": {"groups": {"1": {"resources": {"SRIOV_NET_VF": 1}}}}}`), "", unread); err != nil {
		t.Error(err)
	}
	if _, err := Ask([]byte("public"), "", unread); err == nil {
		t.Error("a pod was asked for without a node")
	}
	if _, err := Ask(make([]byte, MaxFile+1), "", unread); err == nil {
		t.Error("a file without end is read")
	}
}

func FuzzAsk(f *testing.F) {
	for _, text := range []string{"public", "[{network: public}]", "kind: Pod\nmetadata: {annotations: {sriov.nri.io/networks: fast}}", `{"request":{"groups":{"1":{"resources":{"SRIOV_NET_VF":1}}}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		answer, err := Ask(text, "prod", node(t))
		if err == nil && len(answer.Candidates) == 0 && len(answer.Reasons) == 0 {
			t.Errorf("%q has no candidates, for no reason", text)
		}
	})
}

// TestNodeWithoutNICs: that a node has nothing is no fault of the question.
func TestNodeWithoutNICs(t *testing.T) {
	answer, err := Ask([]byte("default"), "prod", func() (Node, error) {
		return Node{Config: config.Default(), Tree: inventory.NewPool(nil).Tree("host")}, nil
	})
	if err != nil || answer.Outcome != "no-candidates" || len(answer.Reasons) == 0 {
		t.Errorf("%+v, %v", answer, err)
	}
}
