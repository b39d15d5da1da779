package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKubernetesPins: every part of Kubernetes that has a module of its own is of the pinned version.
func TestKubernetesPins(t *testing.T) {
	src, err := findSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(src.tools("kubernetes"), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	found := kubernetesPin.FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("no version is found in it")
	}
	staged := "v0" + strings.TrimPrefix(found[1], "v1")
	replaced := 0
	for line := range strings.Lines(string(text)) {
		if _, version, is := strings.Cut(line, " => "); is {
			replaced++
			if words := strings.Fields(version); len(words) != 2 || words[1] != staged {
				t.Errorf("%s is not of %s", strings.TrimSpace(line), staged)
			}
		}
	}
	if replaced < 30 {
		t.Errorf("%d modules are replaced; Kubernetes has more beside it", replaced)
	}
	flags := strings.Join(kubernetesFlags(found[1], found[2], found[3]), " ")
	if want := "-X k8s.io/component-base/version.gitVersion=" + found[1]; !strings.Contains(flags, want) {
		t.Errorf("no %q in %q", want, flags)
	}
}
