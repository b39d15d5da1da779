package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// TestEveryKeyIsDocumented fails when a key is not in the docs' tables, unless it is one of what is not built yet.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/networks.md")
	if err != nil {
		t.Fatal(err)
	}
	frame := []string{"apiVersion", "kind", "providers", "networks"}
	for _, kind := range []reflect.Type{
		reflect.TypeFor[rawNode](), reflect.TypeFor[rawProvider](), reflect.TypeFor[rawNetwork](), reflect.TypeFor[rawVLAN](),
		reflect.TypeFor[rawRoute](), reflect.TypeFor[rawBandwidth](),
	} {
		for i := range kind.NumField() {
			key := kind.Field(i).Tag.Get("yaml")
			if !slices.Contains(frame, key) && !regexp.MustCompile("[`{ ,]"+key+"[`}:, ]").Match(text) {
				t.Errorf("docs/networks.md does not name %s", key)
			}
		}
	}
}
