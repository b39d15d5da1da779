package inventory

import (
	"errors"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

func vfio(count int) []Group { return []Group{{Name: "fast", Count: count, Userspace: true}} }

// inGroups puts the VFs of a provider into IOMMU groups.
func inGroups(p *Provider, groups ...int) {
	for i, one := range p.VFs {
		one.IOMMUGroup = groups[i]
	}
}

// TestIOMMUGroupHasOneOwner: who drives one member of a group can reach the others.
func TestIOMMUGroupHasOneOwner(t *testing.T) {
	n := node([]int{3})
	inGroups(n[0], 7, 7, 8)
	p := NewPool(n)
	if _, err := p.Claim(Request{Sandbox: "a", Groups: vfio(1)}); err != nil {
		t.Fatal(err)
	}
	first, _, _ := p.Find(n[0].VFs[0].Address)
	_ = first
	if _, err := p.Claim(Request{Sandbox: "b", Groups: vfio(2)}); !errors.Is(err, ErrNoFreeVF) || !strings.Contains(err.Error(), "1 tied to VFs in use by their IOMMU group") {
		t.Errorf("two of the others: %v", err)
	}
	// A network interface is no safer beside a tenant who can write into it.
	if _, err := p.Claim(Request{Sandbox: "b", Groups: []Group{{Name: "public", Count: 2}}}); !errors.Is(err, ErrNoFreeVF) {
		t.Errorf("two network interfaces: %v", err)
	}
	claim, err := p.Claim(Request{Sandbox: "b", Groups: vfio(1)})
	if err != nil || claim.VFs[0][0].Address != n[0].VFs[2].Address {
		t.Fatalf("the one of another group: %+v, %v", claim, err)
	}
	p.Unclaim("b")
	if _, err := p.Claim(Request{Sandbox: "a", Groups: vfio(2)}); err != nil {
		t.Errorf("the rest of its own group: %v", err)
	}
}

// TestInterfacesShareAGroup: without a tenant who drives a member itself, the group ties nothing.
func TestInterfacesShareAGroup(t *testing.T) {
	n := node([]int{3})
	inGroups(n[0], 7, 7, 7)
	p := NewPool(n)
	for _, sandbox := range []string{"a", "b"} {
		if _, err := p.Claim(Request{Sandbox: sandbox, Groups: []Group{{Name: "public", Count: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Claim(Request{Sandbox: "c", Groups: vfio(1)}); !errors.Is(err, ErrNoFreeVF) {
		t.Errorf("a VF whose group others use: %v", err)
	}
}

// TestNoRebindWhereOneNeedNotBe: each kind of device comes first from the PF whose VFs rest in its driver.
func TestNoRebindWhereOneNeedNotBe(t *testing.T) {
	n := node([]int{4, 2})
	n[1].Driver = "vfio-pci"
	inGroups(n[0], 1, 2, 3, 4)
	inGroups(n[1], 5, 6)
	p := NewPool(n)
	for _, c := range []struct {
		sandbox string
		groups  []Group
		bus     uint8
	}{
		{"a", vfio(1), 2}, {"b", []Group{{Name: "public", Count: 1}}, 1}, {"c", vfio(1), 2}, {"d", vfio(1), 1},
	} {
		claim, err := p.Claim(Request{Sandbox: c.sandbox, Groups: c.groups})
		if err != nil || claim.VFs[0][0].Address.Bus != c.bus {
			t.Errorf("%s: %+v, %v", c.sandbox, claim, err)
		}
	}
}

func TestNoIOMMU(t *testing.T) {
	n := node([]int{1})
	inGroups(n[0], -1)
	n[0].PF.IOMMUGroup = -1
	_, err := NewPool(n).Claim(Request{Sandbox: "a", Groups: vfio(1)})
	if !errors.Is(err, ErrNoFreeVF) || !strings.Contains(err.Error(), "the IOMMU is off (boot with intel_iommu=on iommu=pt") {
		t.Error(err)
	}
	n[0].AllowNoIOMMU = true
	if _, err := NewPool(n).Claim(Request{Sandbox: "a", Groups: vfio(1)}); err != nil {
		t.Error(err)
	}
}

// TestApplicationDrivesPF: its VFs are for vfio only.
func TestApplicationDrivesPF(t *testing.T) {
	n := node([]int{1})
	inGroups(n[0], 1)
	n[0].PF.Interface, n[0].PF.Driver, n[0].VFToken = "", "vfio-pci", "token"
	p := NewPool(n)
	_, err := p.Claim(Request{Sandbox: "a", Groups: []Group{{Name: "public", Count: 1}}})
	if !errors.Is(err, ErrNoFreeVF) || !strings.Contains(err.Error(), "has VFs for vfio only: itself it is bound to vfio-pci") {
		t.Error(err)
	}
	if _, err := p.Claim(Request{Sandbox: "a", Groups: vfio(1)}); err != nil {
		t.Error(err)
	}
}

// TestReplace: VFs that were created anew are offered, and claims that waited are served.
func TestReplace(t *testing.T) {
	n, fresh := node([]int{0}), node([]int{2})
	p := NewPool(n)
	p.Replace(fresh[0])
	p.Rebound(fresh[0].VFs[1].Address, "vfio-pci", nil)
	claim, err := p.Claim(Request{Sandbox: "a", Groups: []Group{{Name: "public", Count: 2}}})
	if err != nil || claim.VFs[0][1].Driver != "vfio-pci" {
		t.Errorf("%+v, %v", claim, err)
	}
	if names := p.VFNames(vf.PCIAddress{Bus: 9}); len(names) != 0 {
		t.Errorf("names of VFs that are not there: %v", names)
	}
}
