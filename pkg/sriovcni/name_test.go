package sriovcni

import (
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

func TestNames(t *testing.T) {
	n := names{}
	for _, c := range []struct{ wanted, namespace, want string }{
		{"public", "", "public"},
		{"Public", "", "public-2"},
		{"public", "prod", "public-prod"},
		{"public", "prod", "public-prod-2"},
		{"a.b", "", "a.b"},
		{"a-b", "", "a-b-2"}, // a.b and a-b are the same environment variable
		{"__x__", "", "x"},
		{"", "", "sriov"},
		{"日本", "", "sriov-2"},
		{strings.Repeat("a", 100), "", strings.Repeat("a", 63)},
		{strings.Repeat("a", 100), strings.Repeat("b", 63), strings.Repeat("a", 32) + "-" + strings.Repeat("b", 30)},
	} {
		got := n.unique(c.wanted, c.namespace)
		if got != c.want {
			t.Errorf("%q of %q is called %q, not %q", c.wanted, c.namespace, got, c.want)
		}
		if err := config.CheckNetworkName(got); err != nil {
			t.Error(err)
		}
	}
}

func TestTraitsOfPFs(t *testing.T) {
	var p providers
	for _, c := range []struct{ pf, want string }{
		{"enp1s0", "CUSTOM_PF_ENP1S0"}, {"eth.1", "CUSTOM_PF_ETH_1"}, {"eth-1", "CUSTOM_PF_ETH_1_2"},
		{"enp1s0", "CUSTOM_PF_ENP1S0"}, {"ENP1S0", "CUSTOM_PF_ENP1S0_2"},
	} {
		if got := p.trait(c.pf); got != c.want {
			t.Errorf("%s has the trait %s, not %s", c.pf, got, c.want)
		}
	}
	if len(p.list) != 4 {
		t.Errorf("%d providers", len(p.list))
	}
}
