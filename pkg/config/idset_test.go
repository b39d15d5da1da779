package config

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseIDSet(t *testing.T) {
	for text, want := range map[string]IDSet{
		"0":         {0},
		"0-5":       {0, 1, 2, 3, 4, 5},
		"0-3,6":     {0, 1, 2, 3, 6},
		"6, 0 ":     {0, 6},
		"3-3,4-5":   {3, 4, 5},
		"254-255":   {254, 255},
		"007":       {7},
		"2,1,0,3-4": {0, 1, 2, 3, 4},
	} {
		got, err := ParseIDSet(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"", ",", "1,", "-1", "1-", "1--2", "1-2-3", "0x1", "1 2", "1-2,2", "1,1", "256", "99999999999999999999", "٣"} {
		if set, err := ParseIDSet(text); err == nil {
			t.Errorf("%q is accepted as %s", text, set)
		}
	}
}

func TestNilIDSetIsEveryVF(t *testing.T) {
	var all IDSet
	if !all.Contains(0) || !all.Contains(MaxVFID) || all.String() != "all" {
		t.Errorf("the nil set is %s", all)
	}
}

func TestIDSetReadsWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(0, MaxVFID), 1, 40, rapid.ID[int]).Draw(t, "ids")
		set := IDSet(slices.Sorted(slices.Values(ids)))
		got, err := ParseIDSet(set.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(set, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", set, diff)
		}
		for id := range MaxVFID + 1 {
			if got.Contains(id) != slices.Contains(ids, id) {
				t.Fatalf("%s contains %d: %t", got, id, got.Contains(id))
			}
		}
	})
}
