package lab

import (
	"strings"
	"testing"
)

func TestMachineArguments(t *testing.T) {
	m := machine{
		options: Options{NICs: []NIC{{"pf0", "a"}, {"pf1", "b"}, {"pf2", "a"}}, VFs: 3, Trunks: []Trunk{{"b", 1, 2}}, HugePages: 5, Forward: []int{9100, 9101}}.withDefaults(),
		assets:  &Assets{}, token: "T", port: 9000, console: "c",
	}
	args := strings.Join(m.args(), " ")
	for _, want := range []string{
		"hubport,id=nic0,hubid=0 ", "hubport,id=nic1,hubid=1 ", "hubport,id=nic2,hubid=0 ", // a, b, a
		"hubport,id=trunkport0,hubid=1,netdev=trunk0",
		"pcie-root-port,id=rp2,slot=3,chassis=3,addr=0x12",
		"igb,id=igb2,netdev=nic2,bus=rp2,mac=52:54:00:23:28:03",
		"lab.vfs=3 lab.nic=pf0@0000:01:00.0 lab.nic=pf1@0000:02:00.0 lab.nic=pf2@0000:03:00.0 hugepagesz=2M hugepages=5",
		"hostfwd=tcp:127.0.0.1:9000-:9,hostfwd=tcp:127.0.0.1:9100-:9100,hostfwd=tcp:127.0.0.1:9101-:9101 ",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("no %q in %s", want, args)
		}
	}
}

func TestDefaultVFs(t *testing.T) {
	for asked, want := range map[int]int{0: DefaultVFs, NoVFs: 0, 2: 2} {
		if got := (Options{VFs: asked}).withDefaults().VFs; got != want {
			t.Errorf("VFs %d means %d, want %d", asked, got, want)
		}
	}
}

func TestReadVerbose(t *testing.T) {
	spec := `"runtimeSpec":{"linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/var/run/netns/x"}]}}`
	for text, want := range map[string]PodStatus{
		"":                       {},
		`{"pid":7,` + spec + `}`: {PID: 7, NetNS: "/var/run/netns/x"},
		`{"netNamespaceClosed":true,` + spec + `}`: {},
		`{"pid":7}`: {PID: 7},
	} {
		var got PodStatus
		if err := got.readVerbose(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	if err := new(PodStatus).readVerbose("{"); err == nil {
		t.Error("half a text gives no error")
	}
}
