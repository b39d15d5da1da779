package sriovcni

import (
	"os"
	"strings"
	"testing"
)

// TestDocs holds the guide to the truth: its examples are those of the golden files, and it names every option.
func TestDocs(t *testing.T) {
	content, err := os.ReadFile("../../docs/from-sriov-cni.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(content)
	for _, example := range []string{"cluster.yaml", "golden/cluster.yaml.yaml", "intel.conf", "golden/intel.conf.yaml"} {
		want, err := readTestdata(example)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(guide, "\n"+string(want)+"```") {
			t.Errorf("the guide does not contain %s as it is", example)
		}
	}
	lower := strings.ToLower(guide)
	for plugin, known := range pluginOptions {
		for key := range known {
			first, _, _ := strings.Cut(key, ".")
			if !strings.Contains(lower, "`"+strings.ToLower(key)+"`") && !strings.Contains(lower, "`"+strings.ToLower(first)+"`") {
				t.Errorf("the guide does not name %s of %s", key, plugin)
			}
		}
	}
}
