package vf

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestParsePCIAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0000:01:10.3": "0000:01:10.3", "0000:AF:1F.7": "0000:af:1f.7", "10000:01:00.0": "10000:01:00.0",
	} {
		got, err := ParsePCIAddress(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "01:10.3", "0000:01:20.0", "0000:01:10.8", "0000:01:10.3 ", "../0000:01:10.3", "000000000:01:10.3"} {
		if got, err := ParsePCIAddress(text); err == nil {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
}

func FuzzParsePCIAddress(f *testing.F) {
	f.Add("0000:01:10.3")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParsePCIAddress(text)
		if err != nil {
			return
		}
		if again, err := ParsePCIAddress(a.String()); err != nil || again != a {
			t.Errorf("%q gives %s, which gives %s, %v", text, a, again, err)
		}
	})
}

func TestPCIAddressOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) PCIAddress {
			return PCIAddress{
				Domain: rapid.Uint32().Draw(t, "domain"), Bus: rapid.Byte().Draw(t, "bus"),
				Device: rapid.Uint8Range(0, 31).Draw(t, "device"), Function: rapid.Uint8Range(0, 7).Draw(t, "function"),
			}
		})
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		if a.Compare(b) != -b.Compare(a) || (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%s and %s compare as %d and %d", a, b, a.Compare(b), b.Compare(a))
		}
	})
}

func TestParseMAC(t *testing.T) {
	if mac, err := ParseMAC("02:AA:00:00:00:11"); err != nil || mac.String() != "02:aa:00:00:00:11" {
		t.Errorf("%s, %v", mac, err)
	}
	for text, want := range map[string]string{
		"": "not a MAC", "02:00:00:00:00": "not a MAC", "02:00:00:00:00:11:00:00": "not a MAC",
		"00:00:00:00:00:00": "all zero", "01:00:5e:00:00:01": "multicast", "ff:ff:ff:ff:ff:ff": "multicast",
	} {
		if _, err := ParseMAC(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestEverySetting fails when a field of Settings is added that is not compared, taken, written and parsed.
func TestEverySetting(t *testing.T) {
	t.Attr("fault", "31")
	changed := Settings{
		MAC: MAC{2, 0, 0, 0, 0, 1}, VLAN: VLAN{ID: 100, QoS: 3, Protocol: Protocol8021AD}, SpoofCheck: false, Trust: true,
		MinTxRate: 10, MaxTxRate: 20, LinkState: LinkDisable,
	}
	defaults := DefaultSettings()
	for i := range reflect.TypeFor[Settings]().NumField() {
		name := reflect.TypeFor[Settings]().Field(i).Name
		one := defaults
		reflect.ValueOf(&one).Elem().Field(i).Set(reflect.ValueOf(changed).Field(i))
		if one == defaults {
			t.Fatalf("the test does not change %s", name)
		}
		if len(defaults.Differences(one)) != 1 {
			t.Errorf("%s is not compared: %v", name, defaults.Differences(one))
		}
		parsed := map[int]Settings{}
		if err := parseSettings(asAnswer(settingsMessage(1, 5, defaults, one).Serialize()), parsed); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[int]Settings{5: one}, parsed); diff != "" {
			t.Errorf("%s is not written and parsed: %s", name, diff)
		}
		for _, each := range settingList {
			each.take(&one, defaults)
		}
		if one != defaults {
			t.Errorf("%s is not taken", name)
		}
	}
}

// asAnswer turns a request into an answer of the kernel, which names the VF in every one of its attributes: the
// request gets a MAC attribute where it has none, and a list form of 802.1ad gets the plain form beside it.
func asAnswer(request []byte) []byte {
	body := request[unix.SizeofNlMsghdr:]
	attributes, err := nl.ParseRouteAttr(body[unix.SizeofIfInfomsg:])
	if err != nil || len(attributes) != 1 {
		panic("a request of another form")
	}
	infos, err := nl.ParseRouteAttr(attributes[0].Value)
	if err != nil {
		panic(err)
	}
	inner, err := nl.ParseRouteAttr(infos[0].Value)
	if err != nil {
		panic(err)
	}
	list := nl.NewRtAttr(unix.IFLA_VFINFO_LIST, nil)
	info := list.AddRtAttr(nl.IFLA_VF_INFO, nil)
	info.AddRtAttr(nl.IFLA_VF_MAC, (&nl.VfMac{Vf: 5}).Serialize())
	for _, one := range inner {
		if one.Attr.Type == nl.IFLA_VF_VLAN_LIST {
			tagged, err := nl.ParseRouteAttr(one.Value)
			if err != nil {
				panic(err)
			}
			info.AddRtAttr(nl.IFLA_VF_VLAN, tagged[0].Value[:12])
		}
		info.AddRtAttr(int(one.Attr.Type), one.Value)
	}
	return append(make([]byte, unix.SizeofIfInfomsg), list.Serialize()...)
}

func TestVFsAreKnownByNumberNotByPlace(t *testing.T) {
	t.Attr("fault", "25")
	list := nl.NewRtAttr(unix.IFLA_VFINFO_LIST, nil)
	for _, id := range []uint32{0, 2, 6} { // the driver leaves 1 out
		info := list.AddRtAttr(nl.IFLA_VF_INFO, nil)
		info.AddRtAttr(nl.IFLA_VF_MAC, (&nl.VfMac{Vf: id}).Serialize())
		info.AddRtAttr(nl.IFLA_VF_VLAN, (&nl.VfVlan{Vf: id, Vlan: 100 + id}).Serialize())
	}
	parsed := map[int]Settings{}
	if err := parseSettings(append(make([]byte, unix.SizeofIfInfomsg), list.Serialize()...), parsed); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{0, 2, 6} {
		if parsed[id].VLAN.ID != uint16(100+id) {
			t.Errorf("VF %d has %s", id, parsed[id])
		}
	}
	if len(parsed) != 3 {
		t.Errorf("VFs: %v", parsed)
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add(asAnswer(settingsMessage(1, 5, DefaultSettings(), Settings{Trust: true}).Serialize()))
	f.Fuzz(func(_ *testing.T, message []byte) { _ = parseSettings(message, map[int]Settings{}) })
}

func TestPlainVLANAttributeFor8021Q(t *testing.T) {
	want := DefaultSettings()
	want.VLAN.ID = 100
	message := settingsMessage(7, 5, DefaultSettings(), want).Serialize()
	if binary.NativeEndian.Uint16(message[4:]) != unix.RTM_SETLINK {
		t.Error("no RTM_SETLINK")
	}
	if strings.Contains(string(message), string(nl.NewRtAttr(nl.IFLA_VF_VLAN_LIST, nil).Serialize()[2:4])) {
		t.Error("the list form, which older drivers do not know, is used for 802.1q")
	}
}
