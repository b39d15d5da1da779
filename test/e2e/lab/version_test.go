package lab

import (
	"strings"
	"testing"
)

func TestVersionOfContainerd(t *testing.T) {
	for text, want := range map[string]string{"1.7.35": "1.7.35", "v2.4.2": "2.4.2", "2.2.0-rc.1": "2.2.0-rc.1"} {
		version, err := parseVersion(text)
		if err != nil || version.String() != want {
			t.Errorf("%s is read as %s, %v", text, version, err)
		}
	}
	for _, text := range []string{"", "2.4", "latest", "2.4.2 ", "02.4.2", "2.4.2/../../x", "master", "2.99999999999999999999.1"} {
		if version, err := parseVersion(text); err == nil {
			t.Errorf("%q is read as %s", text, version)
		}
	}
	one, err := parseVersion("2.2.5")
	if err != nil || !one.AtLeast(1, 7) || !one.AtLeast(2, 2) || one.AtLeast(2, 3) || one.AtLeast(3, 0) {
		t.Errorf("%+v, %v", one, err)
	}
}

// TestSourceOfContainerd: what is pinned is built from its pins, and what nobody names is the newest.
func TestSourceOfContainerd(t *testing.T) {
	src, err := findSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(containerdEnv, "")
	usual, err := src.containerd("")
	if err != nil || !strings.HasSuffix(usual.tools, "/tools/containerd") || usual.version.Major != 2 {
		t.Errorf("the usual one: %+v, %v", usual, err)
	}
	if other, err := src.containerd("2.2.5"); err != nil || other.tools != "" || other.version.String() != "2.2.5" {
		t.Errorf("one without pins: %+v, %v", other, err)
	}
	old, err := src.containerd("1.7.35")
	if err != nil || !strings.HasSuffix(old.tools, "/tools/containerd-1.7") {
		t.Errorf("the pinned old one: %+v, %v", old, err)
	}
	t.Setenv(containerdEnv, "1.7.35")
	if named, err := src.containerd(""); err != nil || named != old {
		t.Errorf("the one of the environment: %+v, %v", named, err)
	}
	if named, err := src.containerd(usual.version.String()); err != nil || named != usual {
		t.Errorf("one beside that of the environment: %+v, %v", named, err)
	}
	if _, err := src.containerd("new"); err == nil {
		t.Error("new is a version")
	}
}
