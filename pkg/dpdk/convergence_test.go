package dpdk_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/dpdk/dpdktest"
	"pgregory.net/rapid"
)

var errKilled = errors.New("killed")

// killedAfter lets so many writes through and none after them, not even those that would put something back.
func killedAfter(kernel *dpdktest.Kernel, writes int) func(name, text string) error {
	return func(name, text string) error {
		if writes == 0 {
			return errKilled
		}
		writes--
		return kernel.Store(name, text)
	}
}

// Whatever was begun and cut short before, in whatever state the device was found: Bind, Restore and Unbind reach their
// end, and doing it again writes nothing.
func TestAnyPrefixConverges(t *testing.T) {
	t.Attr("fault", "1")
	t.Attr("fault", "2")
	drivers := []string{"", "igbvf", "vfio-pci", "igb_uio"}
	rapid.Check(t, func(rt *rapid.T) {
		kernel := dpdktest.New(t, drivers[1:]...)
		kernel.AddDevice(first, dpdktest.Device{
			Driver: rapid.SampledFrom(drivers).Draw(rt, "driver"), Native: "igbvf", Group: rapid.IntRange(-1, 1).Draw(rt, "group"),
		})
		override := rapid.SampledFrom([]string{"(null)", "igbvf", "vfio-pci", "igb_uio", "gone"}).Draw(rt, "override")
		kernel.Write("bus/pci/devices/"+first+"/driver_override", override+"\n")
		host := open(t, kernel)
		vf := address(t, first)
		calls := map[string]func() error{
			"vfio-pci override vfio-pci": func() error { return host.Bind(t.Context(), vf, "vfio-pci") },
			"igb_uio override igb_uio":   func() error { return host.Bind(t.Context(), vf, "igb_uio") },
			"igbvf override (null)":      func() error { return host.Restore(t.Context(), vf, "igbvf") },
			"- override (null)":          func() error { return host.Unbind(t.Context(), vf) },
		}
		ends := []string{"vfio-pci override vfio-pci", "igb_uio override igb_uio", "igbvf override (null)", "- override (null)"}
		for i := range rapid.IntRange(0, 4).Draw(rt, "cut short") {
			dpdk.Writes(host, killedAfter(kernel, rapid.IntRange(0, 4).Draw(rt, fmt.Sprint("writes ", i))))
			err := calls[rapid.SampledFrom(ends).Draw(rt, fmt.Sprint("call ", i))]()
			if err != nil && !errors.Is(err, errKilled) {
				rt.Fatal(err)
			}
		}
		dpdk.Writes(host, kernel.Store)
		end := rapid.SampledFrom(ends).Draw(rt, "end")
		if err := calls[end](); err != nil {
			rt.Fatal(err)
		}
		wantState(rt, kernel, end)
		kernel.Writes = nil
		if err := calls[end](); err != nil || len(kernel.Writes) > 0 {
			rt.Fatalf("once more: %v, writes %q", err, kernel.Writes)
		}
	})
}
