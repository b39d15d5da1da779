package vf

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rdmaAnswer makes what the kernel answers: attributes without a header.
func rdmaAnswer(attributes ...*nl.RtAttr) []byte {
	var answer []byte
	for _, attribute := range attributes {
		answer = append(answer, attribute.Serialize()...)
	}
	return answer
}

func rdmaAnswerOf(index uint32, name string) []byte {
	return rdmaAnswer(
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, nl.Uint32Attr(index)),
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_NAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_PORT_INDEX, nl.Uint32Attr(1)),
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_FW_VERSION, nl.ZeroTerminated("22.31.1014")))
}

func TestParseRDMADevice(t *testing.T) {
	whole, short := rdmaAnswerOf(3, "mlx5_2"), rdmaAnswer(nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, []byte{1}))
	for name, test := range map[string]struct {
		message []byte
		want    rdmaDevice
		refused bool
	}{
		"whole":           {message: whole, want: rdmaDevice{index: 3, name: "mlx5_2"}},
		"the first index": {message: rdmaAnswerOf(0, "rocep1s0f0v2"), want: rdmaDevice{name: "rocep1s0f0v2"}},
		"no zero at the end": {
			message: rdmaAnswer(
				nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_NAME, []byte("irdma0")),
				nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, nl.Uint32Attr(7))),
			want: rdmaDevice{index: 7, name: "irdma0"},
		},
		"empty":          {refused: true},
		"no name":        {message: whole[:8], refused: true},
		"no index":       {message: whole[8:], refused: true},
		"empty name":     {message: rdmaAnswerOf(3, ""), refused: true},
		"short index":    {message: append(short, whole[8:]...), refused: true},
		"cut name":       {message: whole[:14], refused: true},
		"length of zero": {message: append(bytes.Clone(whole), 0, 0, 0, 0), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseRDMADevice(test.message)
			if got != test.want || (err != nil) != test.refused {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestParseRDMAMode(t *testing.T) {
	mode := func(value ...byte) []byte { return rdmaAnswer(nl.NewRtAttr(nl.RDMA_NLDEV_SYS_ATTR_NETNS_MODE, value)) }
	for name, test := range map[string]struct {
		message            []byte
		exclusive, refused bool
	}{
		"exclusive":      {message: mode(0), exclusive: true},
		"shared":         {message: mode(1)},
		"after others":   {message: append(rdmaAnswerOf(1, "mlx5_0"), mode(0)...), exclusive: true},
		"a third mode":   {message: mode(2), refused: true},
		"no value":       {message: mode(), refused: true},
		"a long value":   {message: mode(0, 0, 0, 0), refused: true},
		"no mode":        {message: rdmaAnswerOf(1, "mlx5_0"), refused: true},
		"empty":          {refused: true},
		"cut":            {message: mode(0)[:4], refused: true},
		"length of zero": {message: make([]byte, 8), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			exclusive, err := parseRDMAExclusive(test.message)
			if exclusive != test.exclusive || (err != nil) != test.refused {
				t.Errorf("%t, %v", exclusive, err)
			}
		})
	}
}

// TestRDMAMoveMessage writes out what `rdma dev set mlx5_2 netns` sends, so that a wrong constant shows.
func TestRDMAMoveMessage(t *testing.T) {
	message := rdmaMove(3, 9).Serialize()
	native := binary.NativeEndian
	if kind := native.Uint16(message[4:]); kind != 5<<10|2 { // RDMA_NL_NLDEV, RDMA_NLDEV_CMD_SET
		t.Errorf("type %#x", kind)
	}
	if flags := native.Uint16(message[6:]); flags != unix.NLM_F_REQUEST|unix.NLM_F_ACK {
		t.Errorf("flags %#x", flags)
	}
	var want []byte
	for _, attribute := range []struct {
		kind  uint16
		value uint32
	}{{1, 3}, {68, 9}} { // RDMA_NLDEV_ATTR_DEV_INDEX, RDMA_NLDEV_NET_NS_FD
		want = native.AppendUint16(want, 8)
		want = native.AppendUint16(want, attribute.kind)
		want = native.AppendUint32(want, attribute.value)
	}
	if got := message[unix.NLMSG_HDRLEN:]; !bytes.Equal(got, want) {
		t.Errorf("attributes % x, wanted % x", got, want)
	}
}

func TestRDMANames(t *testing.T) {
	for name, want := range map[string]bool{
		"mlx5_2": true, "rocep1s0f0v2": true, "bnxt_re-bond0": true, "a.b": true, strings.Repeat("a", 63): true,
		"": false, ".": false, "..": false, "-a": false, "a/b": false, "a b": false, "mlx5_2\n": false, "a\x00": false, "ü": false,
		"mlx5_%d": false, strings.Repeat("a", 64): false,
	} {
		if err := checkRDMAName(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzParseRDMA(f *testing.F) {
	f.Add(rdmaAnswerOf(3, "mlx5_2"))
	f.Add(rdmaAnswer(nl.NewRtAttr(nl.RDMA_NLDEV_SYS_ATTR_NETNS_MODE, []byte{1})))
	f.Fuzz(func(t *testing.T, message []byte) {
		if device, err := parseRDMADevice(message); err == nil && (device.name == "" || strings.ContainsRune(device.name, 0)) {
			t.Errorf("%+v", device)
		}
		if exclusive, err := parseRDMAExclusive(message); err != nil && exclusive {
			t.Error(err)
		}
	})
}
