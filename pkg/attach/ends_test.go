package attach_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// TestEndIsNoticed: where the runtime keeps a sandbox's end to itself, each sign of it alone is enough, and none of them
// says anything of a sandbox that lives.
func TestEndIsNoticed(t *testing.T) {
	t.Attr("fault", "18")
	for name, sign := range map[string]func(b *bench, netns string){
		"NetworkNamespace": func(b *bench, netns string) { b.NamespaceGone(netns) },
		"VFAtHome":         func(b *bench, _ string) { b.FunctionReturned(attachtest.VFAddress(0, 0)) },
		"ContainerRemoved": func(b *bench, _ string) { b.ContainerRemoved("a") },
		"Sweep":            func(b *bench, _ string) { b.Sweep() },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, attachtest.NewWorld(1, 2), t.TempDir())
			netns := filepath.Join(t.TempDir(), "cni-1")
			if err := os.Symlink(ownNetNS, netns); err != nil {
				t.Fatal(err)
			}
			pod := attach.Sandbox{ID: "a", Namespace: "prod", Name: "a", NetNS: netns}
			if err := b.Attach(pod, []attach.Want{want(100, "net1")}, false); err != nil {
				t.Fatal(err)
			}
			b.mustReady("a")
			b.mustAttach("other", want(100, "net1"))
			sign(b, netns)
			if !b.Known("a") {
				t.Fatal("a sandbox that lives was released")
			}
			if err := os.Remove(netns); err != nil {
				t.Fatal(err)
			}
			for _, beside := range []func(){
				func() { b.NamespaceGone(netns + "0") }, func() { b.ContainerRemoved("other") },
				func() { b.FunctionReturned(attachtest.VFAddress(0, 1)) }, func() { b.FunctionReturned(vf.PCIAddress{}) },
			} {
				beside()
			}
			if !b.Known("a") {
				t.Fatal("it was released by the sign of another one")
			}
			begun := time.Now()
			sign(b, netns)
			b.eventually("0000:01:10.1 attached other\n0000:01:10.1 net1 in \"pod\" vlan 100")
			t.Attr("converge", time.Since(begun).String())
		})
	}
}
