package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"pgregory.net/rapid"
)

// node has PFs with so many VFs each; traits are those of the PFs in order.
func node(vfs []int, traits ...[]string) []*Provider {
	var providers []*Provider
	for i, count := range vfs {
		p := &Provider{PF: vf.PF{Address: vf.PCIAddress{Bus: uint8(i + 1)}, Interface: fmt.Sprintf("enp%ds0", i+1), NUMANode: i % 2}}
		if i < len(traits) {
			p.Traits = traits[i]
		}
		for id := range count {
			address := vf.PCIAddress{Bus: uint8(i + 1), Device: 0x10, Function: uint8(id)}
			p.VFs = append(p.VFs, &VF{VF: vf.VF{Address: address, PF: p.PF.Address, ID: id, Interfaces: []string{"v"}}, State: Free})
		}
		providers = append(providers, p)
	}
	return providers
}

func group(count int) Group { return Group{Name: "public", Count: count} }

// granted draws the PFs of a claim's VFs, such as "1 1,2" for two groups.
func granted(t *testing.T, c *Claim) string {
	t.Helper()
	select {
	case <-c.Granted:
	default:
		return "waits"
	}
	var groups []string
	for _, vfs := range c.VFs {
		var buses []string
		for _, one := range vfs {
			buses = append(buses, fmt.Sprint(one.Address.Bus))
		}
		groups = append(groups, strings.Join(buses, ","))
	}
	return strings.Join(groups, " ")
}

func TestClaims(t *testing.T) {
	red, blue := []string{"CUSTOM_RED"}, []string{"CUSTOM_BLUE"}
	for _, c := range []struct {
		name    string
		node    []*Provider
		groups  []Group
		isolate bool
		want    string
	}{
		{"two of one PF are not one of two", node([]int{1, 1}), []Group{group(2)}, false,
			`network "public": no VF free: enp1s0 offers 1 of the 2 VFs that one PF must serve; enp2s0 offers 1 of the 2 VFs that one PF must serve`},
		{"two entries are", node([]int{1, 1}), []Group{group(1), group(1)}, false, "1 2"},
		{"spread", node([]int{2, 3}), []Group{group(1)}, false, "2"},
		{"isolate", node([]int{3, 1}), []Group{group(1), group(1)}, true, "1 2"},
		{"isolate on one PF", node([]int{3}), []Group{group(1), group(1)}, true,
			"no VF free: each entry alone could be served, all together could not on different PFs (group-policy isolate): enp1s0 0 of 3 in use"},
		{"required", node([]int{3, 1}, red, blue), []Group{{Name: "n", Count: 1, Required: blue}}, false, "2"},
		{"forbidden", node([]int{3, 1}, red, blue), []Group{{Name: "n", Count: 1, Forbidden: red}}, false, "2"},
		{"any of", node([]int{3, 1}, red, blue), []Group{{Name: "n", Count: 1, AnyOf: [][]string{{"CUSTOM_X", "CUSTOM_BLUE"}}}}, false, "2"},
		{"lacks", node([]int{3}, red), []Group{{Name: "n", Count: 1, Required: blue}}, false, `network "n": no VF free: enp1s0 lacks CUSTOM_BLUE`},
		{"goes back", node([]int{1, 1}, []string{"CUSTOM_BLUE", "CUSTOM_RED"}, blue),
			[]Group{{Name: "n", Count: 1, Required: blue}, {Name: "n", Count: 1, Required: red}}, false, "2 1"},
		{"no PF", nil, []Group{group(1)}, false, `network "public": no VF free: this node has no PF with VFs`},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := NewPool(c.node)
			pool.Name([]string{"CUSTOM_RED", "CUSTOM_BLUE", "CUSTOM_X"})
			claim, err := pool.Claim(Request{Sandbox: "s", Groups: c.groups, Isolate: c.isolate})
			got := fmt.Sprint(err)
			if err == nil {
				got = granted(t, claim)
			} else if !errors.Is(err, ErrNoFreeVF) {
				t.Errorf("not ErrNoFreeVF: %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReservedIsKeptBack(t *testing.T) {
	n := node([]int{3})
	n[0].Reserved = 1
	p := NewPool(n)
	for _, id := range []string{"a", "b"} {
		if _, err := p.Claim(Request{Sandbox: id, Groups: []Group{group(1)}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.Claim(Request{Sandbox: "c", Groups: []Group{group(1)}})
	if err == nil || err.Error() != `network "public": no VF free: enp1s0 2 of 2 in use` {
		t.Error(err)
	}
}

func TestWaitingClaimsAreServedInOrder(t *testing.T) {
	p := NewPool(node([]int{1}))
	first, err := p.Claim(Request{Sandbox: "a", Groups: []Group{group(1)}})
	if err != nil {
		t.Fatal(err)
	}
	address := first.VFs[0][0].Address
	p.Attach("a", address)
	if _, err := p.Claim(Request{Sandbox: "b", Groups: []Group{group(1)}}); !errors.Is(err, ErrNoFreeVF) {
		t.Fatalf("a VF in use is waited for: %v", err)
	}
	p.Release("a", address, "")
	var waiting []*Claim
	for _, id := range []string{"b", "c", "d"} {
		c, err := p.Claim(Request{Sandbox: id, Groups: []Group{group(1)}})
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	p.Unclaim("b")
	p.Free("other", address)
	if got := granted(t, waiting[1]); got != "waits" {
		t.Error("another sandbox freed the VF")
	}
	p.Free("a", address)
	if got := granted(t, waiting[0]) + granted(t, waiting[1]) + granted(t, waiting[2]); got != "waits1waits" {
		t.Error(got)
	}
}

func TestBarredVFsAreNotFreedByTheirOwners(t *testing.T) {
	n := node([]int{1})
	n[0].VFs[0].State, n[0].VFs[0].barred = Excluded, "is not among the config's vfs"
	p := NewPool(n)
	address := n[0].VFs[0].Address
	if !p.Adopt("a", address, Group{}) || p.Adopt("b", address, Group{}) {
		t.Error("adoption")
	}
	p.Release("a", address, "")
	p.Free("a", address)
	if _, one, _ := p.Find(address); one.State != Excluded || one.Reason == "" {
		t.Errorf("%+v", one)
	}
}

// TestClaimsNeverOverlap: whatever is claimed and given back, no VF has two owners, and no PF gives more than it has.
func TestClaimsNeverOverlap(t *testing.T) {
	t.Attr("fault", "16")
	rapid.Check(t, func(t *rapid.T) {
		n := node(rapid.SliceOfN(rapid.IntRange(0, 5), 1, 4).Draw(t, "vfs"))
		for _, one := range n {
			one.Reserved = rapid.IntRange(0, 2).Draw(t, "reserved")
		}
		p := NewPool(n)
		owned := map[string]*Claim{}
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			id := fmt.Sprint(step)
			groups := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Group { return group(rapid.IntRange(1, 3).Draw(t, "count")) }), 1, 4).Draw(t, "groups")
			isolate := rapid.Bool().Draw(t, "isolate")
			if c, err := p.Claim(Request{Sandbox: id, Groups: groups, Isolate: isolate}); err == nil {
				owned[id] = c
				checkClaim(t, c, groups, isolate)
			}
			if rapid.Bool().Draw(t, "give back") {
				for id := range owned {
					p.Unclaim(id)
					delete(owned, id)
					break
				}
			}
			checkOwners(t, p, owned)
		}
	})
}

func checkClaim(t *rapid.T, c *Claim, groups []Group, isolate bool) {
	<-c.Granted
	buses := map[uint8]int{}
	for i, vfs := range c.VFs {
		if len(vfs) != groups[i].Count {
			t.Fatalf("%d VFs for a count of %d", len(vfs), groups[i].Count)
		}
		for _, one := range vfs {
			if one.Address.Bus != vfs[0].Address.Bus {
				t.Fatal("a group is served by two PFs")
			}
		}
		buses[vfs[0].Address.Bus]++
	}
	if isolate && len(buses) != len(groups) {
		t.Fatal("isolated groups share a PF")
	}
}

func checkOwners(t *rapid.T, p *Pool, owned map[string]*Claim) {
	seen := map[vf.PCIAddress]string{}
	for id, c := range owned {
		for _, vfs := range c.VFs {
			for _, one := range vfs {
				if other, ok := seen[one.Address]; ok {
					t.Fatalf("%s belongs to %s and %s", one.Address, other, id)
				}
				seen[one.Address] = id
			}
		}
	}
	for _, provider := range p.Providers() {
		total, used := provider.offered()
		if used > max(0, total-provider.Reserved) {
			t.Fatalf("%s gives %d of %d with %d reserved", provider.PF.Name(), used, total, provider.Reserved)
		}
		for _, one := range provider.VFs {
			if seen[one.Address] != one.Sandbox {
				t.Fatalf("%s: the pool says %q, the claims %q", one.Address, one.Sandbox, seen[one.Address])
			}
		}
	}
}

// TestHostileRequestsEndSoon: entries that cannot be placed, though there are VFs enough, do not hold the runtime up.
func TestHostileRequestsEndSoon(t *testing.T) {
	traits := [][]string{{"CUSTOM_A"}, {"CUSTOM_B"}, {"CUSTOM_A", "CUSTOM_B"}, nil, {"CUSTOM_A"}, {"CUSTOM_B"}, nil, {"CUSTOM_B"}}
	p := NewPool(node([]int{5, 5, 5, 5, 5, 5, 5, 5}, traits...))
	groups, named := make([]Group, 13), []string{}
	for i := range groups {
		groups[i] = Group{Name: "public", Count: 3 - i%2, AnyOf: [][]string{{"CUSTOM_A", "CUSTOM_B"}}, Forbidden: []string{fmt.Sprint("CUSTOM_", i)}}
		named = append(named, groups[i].Forbidden...)
	}
	p.Name(named)
	begun := time.Now()
	if _, err := p.Claim(Request{Sandbox: "s", Groups: groups}); !errors.Is(err, ErrNoFreeVF) {
		t.Error(err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the claim took %s", took)
	}
}

// TestSandboxesRaceForVFs: 64 sandboxes want 14 VFs at the same time, some two at once. Each VF has one owner, each sandbox
// all that it asked for or nothing, and the refused are told why.
func TestSandboxesRaceForVFs(t *testing.T) {
	t.Attr("fault", "16")
	p := NewPool(node([]int{7, 7}))
	var all sync.WaitGroup
	var mutex sync.Mutex
	owners := map[vf.PCIAddress]int{}
	for i := range 64 {
		all.Go(func() {
			request := Request{Sandbox: fmt.Sprint(i), Groups: []Group{group(1)}}
			if i%4 == 0 {
				request.Groups = append(request.Groups, group(1))
			}
			c, err := p.Claim(request)
			if err != nil {
				if !errors.Is(err, ErrNoFreeVF) || !strings.Contains(err.Error(), "in use") {
					t.Error(err)
				}
				return
			}
			if len(c.VFs) != len(request.Groups) {
				t.Errorf("%d of %d groups are served", len(c.VFs), len(request.Groups))
			}
			mutex.Lock()
			defer mutex.Unlock()
			for _, vfs := range c.VFs {
				owners[vfs[0].Address]++
			}
		})
	}
	all.Wait()
	if len(owners) != 14 {
		t.Errorf("%d VFs of 14 were given out", len(owners))
	}
	for address, count := range owners {
		if count != 1 {
			t.Errorf("%s has %d owners", address, count)
		}
	}
}

func TestTree(t *testing.T) {
	n := node([]int{1, 1})
	n[1].PF.NUMANode = -1
	p := NewPool(n)
	if _, err := p.Claim(Request{Sandbox: "s1", Groups: []Group{group(1)}}); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p.Tree("host1"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"providers":[` +
		`{"name":"host1","class":"host","traits":[],"inventories":{}},` +
		`{"name":"numa0","parent":"host1","class":"numa","numaNode":0,"traits":[],"inventories":{}},` +
		`{"name":"enp1s0","parent":"numa0","class":"pf","pciAddress":"0000:01:00.0","pf":"enp1s0","numaNode":0,"traits":["CUSTOM_DEVICE_NETDEV","CUSTOM_DEVICE_VFIO"],` +
		`"inventories":{"SRIOV_NET_VF":{"total":1,"reserved":0,"used":1,"minUnit":1,"maxUnit":1,"stepSize":1,"allocationRatio":1}},` +
		`"vfs":[{"id":0,"pciAddress":"0000:01:10.0","interface":"v","state":"claimed","sandbox":"s1"}]},` +
		`{"name":"enp2s0","parent":"host1","class":"pf","pciAddress":"0000:02:00.0","pf":"enp2s0","traits":["CUSTOM_DEVICE_NETDEV","CUSTOM_DEVICE_VFIO"],` +
		`"inventories":{"SRIOV_NET_VF":{"total":1,"reserved":0,"used":0,"minUnit":1,"maxUnit":1,"stepSize":1,"allocationRatio":1}},` +
		`"vfs":[{"id":0,"pciAddress":"0000:02:10.0","interface":"v","state":"free"}]}]}`
	if diff := cmp.Diff(want, strings.ReplaceAll(string(text), `"traits":null`, `"traits":[]`)); diff != "" {
		t.Error(diff)
	}
}

func TestWholePF(t *testing.T) {
	n := node([]int{2, 2})
	for _, one := range n {
		one.Whole = &VF{State: Free, VF: vf.VF{Address: one.PF.Address, PF: one.PF.Address, ID: -1}}
	}
	n[1].Whole.State, n[1].Whole.Reason = Excluded, "enp2s0 carries the host's default route"
	p := NewPool(n)
	whole := Group{Name: "nic", Count: 1, Whole: true}
	refusal := func(groups ...Group) string {
		_, err := p.Claim(Request{Sandbox: "x", Groups: groups})
		return fmt.Sprint(err)
	}
	if got := refusal(whole, group(1), group(1), group(1)); !strings.Contains(got, "all together could not") {
		t.Error(got)
	}
	claim, err := p.Claim(Request{Sandbox: "a", Groups: []Group{whole, group(1)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := granted(t, claim); got != "1 2" || claim.VFs[0][0].ID != -1 {
		t.Errorf("%s, %+v", got, claim.VFs)
	}
	if got := refusal(group(2)); got != `network "public": no VF free: enp1s0 is in use as a whole; enp2s0 1 of 2 in use, 2 wanted of one PF` {
		t.Error(got)
	}
	if got := refusal(whole); got != `network "nic": no VF free: enp1s0 is in use as a whole; enp2s0 is the host's own: enp2s0 carries the host's default route` {
		t.Error(got)
	}
	tree := p.Tree("host")
	last := tree.Providers[len(tree.Providers)-2]
	if last.Inventories[ClassPF].Used != 1 || last.VFs[0].State != Excluded {
		t.Errorf("%+v", last)
	}
	p.Unclaim("a")
	if _, err := p.Claim(Request{Sandbox: "b", Groups: []Group{group(1), group(1), group(1)}}); err != nil {
		t.Fatal(err)
	}
	if got := refusal(whole); !strings.Contains(got, "enp1s0 has VF 0 in use") {
		t.Error(got)
	}
}

// TestUnknownTrait: a misspelt trait is a bad request, also where it is forbidden; one that only the config names is none.
func TestUnknownTrait(t *testing.T) {
	p := NewPool(node([]int{1}))
	p.Name([]string{"CUSTOM_RED"})
	for _, g := range []Group{
		{Name: "n", Count: 1, Required: []string{"CUSTOM_BLEU"}}, {Name: "n", Count: 1, Forbidden: []string{"CUSTOM_BLEU"}},
		{Name: "n", Count: 1, AnyOf: [][]string{{"CUSTOM_RED", "CUSTOM_BLEU"}}},
	} {
		_, err := p.Claim(Request{Sandbox: "s", Groups: []Group{g}})
		if !errors.Is(err, ErrUnknownTrait) || !strings.Contains(err.Error(), "CUSTOM_BLEU") {
			t.Errorf("%+v: %v", g, err)
		}
	}
	if _, err := p.Claim(Request{Sandbox: "s", Groups: []Group{{Name: "n", Count: 1, Required: []string{"CUSTOM_RED"}}}}); !errors.Is(err, ErrNoFreeVF) {
		t.Error(err)
	}
}

// TestBandwidth: rates draw on what is declared, and come back with the VF.
func TestBandwidth(t *testing.T) {
	n := node([]int{7, 7})
	n[0].Bandwidth.Egress, n[1].Bandwidth.Egress = 10_000_000, 4_000_000
	p := NewPool(n)
	claim := func(sandbox string, groups ...Group) (string, error) {
		c, err := p.Claim(Request{Sandbox: sandbox, Groups: groups})
		if err != nil {
			return "", err
		}
		return granted(t, c), nil
	}
	six := Group{Name: "fat", Count: 1, Egress: 6_000_000}
	if got, err := claim("a", six); err != nil || got != "1" {
		t.Errorf("%s, %v", got, err)
	}
	_, err := claim("b", six)
	if err == nil || err.Error() != `network "fat": no VF free: enp1s0 has 4000 of 10000 Mbit/s left, 6000 wanted; enp2s0 has 4000 of 4000 Mbit/s left, 6000 wanted` {
		t.Error(err)
	}
	if got, err := claim("c", Group{Name: "fat", Count: 1, Egress: 3_000_000}, Group{Name: "fat", Count: 1, Egress: 3_000_000}); err != nil || got != "2 1" && got != "1 2" {
		t.Errorf("%s, %v", got, err)
	}
	tree := p.Tree("host")
	if used := tree.Providers[len(tree.Providers)-2].Inventories[ClassEgress].Used; used != 9_000_000 {
		t.Errorf("%d kilobit/s used", used)
	}
	p.Unclaim("a")
	if got, err := claim("d", six); err != nil || got != "1" {
		t.Errorf("%s, %v", got, err)
	}
	if !p.Adopt("e", n[1].VFs[6].Address, Group{Egress: 500_000}) || n[1].egress != 3_500_000 {
		t.Errorf("%d kilobit/s used after an adoption", n[1].egress)
	}
}

// TestPreferences: the pod's NUMA node first, then spread or pack, then the name.
func TestPreferences(t *testing.T) {
	for _, c := range []struct {
		name string
		vfs  []int
		pack bool
		numa []int
		want string
	}{
		{"spread", []int{2, 3, 1}, false, nil, "2"}, {"pack", []int{2, 3, 1}, true, nil, "3"},
		{"near", []int{5, 1, 5}, false, []int{1}, "2"}, {"by name", []int{2, 2, 2}, false, nil, "1"},
		{"far where near has none", []int{5, 0}, false, []int{1}, "1"},
	} {
		n := node(c.vfs)
		slices.Reverse(n) // the order of reading does not matter
		p := NewPool(n)
		p.Pack(c.pack)
		claim, err := p.Claim(Request{Sandbox: "s", Groups: []Group{group(1)}, NUMANodes: c.numa})
		if err != nil || granted(t, claim) != c.want {
			t.Errorf("%s: %v, %v", c.name, claim, err)
		}
	}
}

// TestNobodyOvertakes: one who waits for two VFs is not passed over by those who want one.
func TestNobodyOvertakes(t *testing.T) {
	p := NewPool(node([]int{2}))
	first, err := p.Claim(Request{Sandbox: "a", Groups: []Group{group(2)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range first.VFs[0] {
		p.Release("a", one.Address, "")
	}
	two, err := p.Claim(Request{Sandbox: "b", Groups: []Group{group(2)}})
	if err != nil {
		t.Fatal(err)
	}
	p.Free("a", first.VFs[0][0].Address)
	one, err := p.Claim(Request{Sandbox: "c", Groups: []Group{group(1)}})
	if err != nil || granted(t, one) != "waits" {
		t.Errorf("it overtakes: %v, %v", one, err)
	}
	p.Free("a", first.VFs[0][1].Address)
	if granted(t, two) != "1,1" || granted(t, one) != "waits" {
		t.Errorf("%s, %s", granted(t, two), granted(t, one))
	}
}
