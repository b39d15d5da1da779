package inventory

import (
	"fmt"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// bigNode has PFs of so many VFs, each on a bus of its own, with all but the last few of each in use.
func bigNode(pfs, vfs, freeEach int) *Pool {
	var providers []*Provider
	for i := range pfs {
		p := &Provider{
			PF:     vf.PF{Address: vf.PCIAddress{Bus: uint8(i + 1)}, Interface: fmt.Sprintf("enp%ds0", i+1), NUMANode: i % 2, IOMMUGroup: i},
			Traits: []string{"CUSTOM_DRIVER_ICE", fmt.Sprintf("CUSTOM_PHYSNET_%d", i%4), "CUSTOM_VENDOR_8086", "HW_NIC_SRIOV"},
		}
		for id := range vfs {
			address := vf.PCIAddress{Bus: uint8(i + 1), Device: uint8(0x10 + id/8), Function: uint8(id % 8)}
			one := &VF{VF: vf.VF{Address: address, PF: p.PF.Address, ID: id, IOMMUGroup: 1000 + 1000*i + id}, State: Attached, Sandbox: "other"}
			if id >= vfs-freeEach {
				one.State, one.Sandbox = Free, ""
			}
			p.VFs = append(p.VFs, one)
		}
		providers = append(providers, p)
	}
	return NewPool(providers)
}

// BenchmarkRefresh is a reading that changes nothing, for as long as which no claim is served.
func BenchmarkRefresh(b *testing.B) {
	for _, vfs := range []int{8, 128, 256} {
		b.Run(fmt.Sprintf("VFs=%d", 8*vfs), func(b *testing.B) {
			p, fresh := bigNode(8, vfs, vfs/8), bigNode(8, vfs, vfs/8).providers
			for b.Loop() {
				if changes := p.Refresh(fresh, time.Now()); changes.Again {
					b.Fatal(changes)
				}
			}
		})
	}
}

// BenchmarkClaim is one claim of a VF and its way back, on nodes of growing size that are nearly full.
func BenchmarkClaim(b *testing.B) {
	for _, size := range []struct{ pfs, vfs int }{{1, 8}, {8, 8}, {8, 32}, {8, 128}, {8, 256}} {
		b.Run(fmt.Sprintf("VFs=%d", size.pfs*size.vfs), func(b *testing.B) {
			request := Request{Sandbox: "s", Groups: []Group{{Name: "public", Count: 1, Required: []string{"CUSTOM_PHYSNET_0"}}}}
			p := bigNode(size.pfs, size.vfs, max(1, size.vfs/8))
			b.ReportAllocs()
			for b.Loop() {
				claim, err := p.Claim(request)
				if err != nil {
					b.Fatal(err)
				}
				p.Free("s", claim.VFs[0][0].Address)
			}
		})
	}
}
