package vf

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestBusyToTheLastMoment: a driver that answers at the very end of the time was busy, whatever the clock says first.
func TestBusyToTheLastMoment(t *testing.T) {
	t.Attr("fault", "24")
	synctest.Test(t, func(t *testing.T) {
		for _, patience := range []time.Duration{5 * time.Millisecond, 35 * time.Millisecond, 10 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			begun, tries := time.Now(), 0
			err := retry(ctx, func() error { tries++; return unix.EBUSY })
			if took := time.Since(begun); !errors.Is(err, ErrBusy) || !errors.Is(err, unix.EBUSY) || took > patience {
				t.Errorf("in %s: %v after %s", patience, err, took)
			}
			if most := 6 + int(patience/(200*time.Millisecond)); tries == 0 || tries > most {
				t.Errorf("in %s the driver was asked %d times", patience, tries)
			}
			cancel()
		}
	})
}

// TestAnswersThatWereCutShort: lists are asked for anew, a bounded number of times; a change is not, once it may have
// been made.
func TestAnswersThatWereCutShort(t *testing.T) {
	t.Attr("fault", "30")
	for _, c := range []struct {
		what  string
		list  bool
		first error
		tries int
		want  error
	}{
		{"a list that changed meanwhile", true, netlink.ErrDumpInterrupted, 4, nil},
		{"a list that did not fit the socket", true, unix.ENOBUFS, 4, nil},
		{"a list beside the rest of one that did not fit", true, unix.EBUSY, 4, nil},
		{"a signal", false, unix.EINTR, 4, nil},
		{"a change whose answer was lost", false, unix.ENOBUFS, 1, unix.ENOBUFS},
		{"a change of a busy driver", false, unix.EBUSY, 1, unix.EBUSY},
		{"a refusal", true, unix.EPERM, 1, unix.EPERM},
	} {
		tries := 0
		got, err := whole(c.list, func() ([][]byte, error) {
			if tries++; tries < 4 {
				return [][]byte{{1}}, c.first
			}
			return [][]byte{{2}}, nil
		})
		if !errors.Is(err, c.want) || tries != c.tries || c.want == nil && (err != nil || got[0][0] != 2) {
			t.Errorf("%s: %v, %v after %d tries", c.what, got, err, tries)
		}
	}
	tries := 0
	got, err := whole(true, func() ([][]byte, error) { tries++; return [][]byte{{1}}, netlink.ErrDumpInterrupted })
	if got != nil || !errors.Is(err, netlink.ErrDumpInterrupted) || tries != interruptions+1 || !strings.Contains(err.Error(), "no whole answer in 51 tries") {
		t.Errorf("%v, %v after %d tries", got, err, tries)
	}
}

// FuzzParseProcessStart: the name in the text is the process's own choice.
func FuzzParseProcessStart(f *testing.F) {
	f.Add("pause")
	f.Add("a) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 99 0 (b")
	f.Add(") Z ) ")
	f.Fuzz(func(t *testing.T, name string) {
		_, _ = parseProcessStart(7, name)
		start, err := parseProcessStart(7, "7 ("+name+") S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0 0\n")
		if err != nil || start != 4711 {
			t.Errorf("the process called %q: %d, %v", name, start, err)
		}
	})
}

// FuzzAttributes: whatever a netlink message holds, it is taken apart within its bounds.
func FuzzAttributes(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 'l', 'o', 0, 0, 16, 0, 9, 128, 8, 0, 0, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseLinkState(data)
		_, _, _ = parseAddress(data)
		hops := map[int]bool{}
		addHops(data, hops)
		if len(hops) > len(data)/unix.SizeofRtNexthop {
			t.Errorf("%d hops in %d bytes", len(hops), len(data))
		}
		all, err := attributesOf(data)
		size := 0
		for _, one := range all {
			size += unix.SizeofNlAttr + len(one.value)
		}
		if err == nil && size > len(data) {
			t.Errorf("attributes of %d bytes in %d", size, len(data))
		}
	})
}
