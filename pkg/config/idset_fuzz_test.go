package config

import (
	"slices"
	"strings"
	"testing"
)

// FuzzParseIDSet: a set that is taken is in order, within its bounds, and is read again from what it writes.
func FuzzParseIDSet(f *testing.F) {
	for _, seed := range []string{"0-3,6", "0-255", "7", "3-1", "0-99999999999999999999", "1,1", "-", "0x1", " 2 , 3 "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseIDSet(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
				t.Errorf("it says %q", err)
			}
			return
		}
		if len(set) == 0 || len(set) > MaxVFID+1 || !slices.IsSorted(set) || set[0] < 0 || set[len(set)-1] > MaxVFID {
			t.Errorf("%q is %v", text, set)
		}
		if again, err := ParseIDSet(set.String()); err != nil || !slices.Equal(set, again) {
			t.Errorf("%q is %v, which is read again as %v, %v", text, set, again, err)
		}
	})
}
