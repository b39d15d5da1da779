package request

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// configKeys are all keys of a part of the node's config, as its own refusal lists them.
func configKeys(t *testing.T, text string) []string {
	t.Helper()
	_, err := config.Parse("config.yaml", []byte("apiVersion: sriov.nri.io/v1alpha1\nkind: NodeConfig\n"+text))
	known := regexp.MustCompile(`unknown key "nonsense"; known here are ([A-Za-z, ]+)`).FindStringSubmatch(fmt.Sprint(err))
	if known == nil {
		t.Fatalf("the config says %v", err)
	}
	return strings.Split(known[1], ", ")
}

// TestPodsSetNothingOfTheNode: what the admin says in the config no pod can say, whatever is added to the config later.
func TestPodsSetNothingOfTheNode(t *testing.T) {
	pods := []string{"name", "required", "forbidden"} // mean a pod's own choice there
	var keys []string
	for _, part := range []string{"nonsense: 1", "providers: [{pf: a, nonsense: 1}]", "networks: [{name: a, nonsense: 1}]", "networks: [{name: a, vlan: {id: 1, nonsense: 1}}]"} {
		keys = append(keys, configKeys(t, part)...)
	}
	if !slices.Contains(keys, "trust") || !slices.Contains(keys, "driver") || !slices.Contains(keys, "protocol") || len(keys) < 35 {
		t.Fatalf("the config's keys are %v", keys)
	}
	keys = append(keys, "pciAddress", "vfID", "bdf", "numaNode", "deviceNodes", "sandbox", "netns", "annotations", "spoofchk", "type", "hostPath")
	for _, key := range keys {
		if slices.Contains(pods, key) {
			continue
		}
		for _, text := range []string{
			"[{network: public, %s: 1}]", `[{"network": "public", "%s": {"id": 1}}]`, "[{network: public}, {network: public, \"%s\": [a]}]",
		} {
			_, err := Parse(fmt.Sprintf(text, key), "")
			if err == nil || !strings.Contains(err.Error(), `unknown key "`+key+`"`) {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
}

// TestBombs: a small text that stands for a large one is refused, and soon.
func TestBombs(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'z'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	merge := "- &a {network: public}\n" + strings.Repeat("- {<<: *a}\n", 100)
	for name, text := range map[string]string{
		"aliases of aliases": laughs,
		"aliases in a list":  "[&a [a], " + strings.TrimSuffix(strings.Repeat("*a,", 4000), ",") + "]",
		"merge keys":         merge,
		"deep lists":         strings.Repeat("[", 8000),
		"deep and closed":    strings.Repeat("[", 8000) + strings.Repeat("]", 8000),
		"deep maps":          strings.Repeat("{a: ", 4000),
		"deep by indents":    strings.Repeat("- ", 8000),
		"many keys":          "[{network: a, " + strings.Repeat("a: 1, ", 2500) + "}]",
		"many entries":       "[" + strings.TrimSuffix(strings.Repeat("a,", 8000), ",") + "]",
		"long text":          "[{network: " + strings.Repeat("a", 16000) + "}]",
		"long number":        "[{network: a, count: " + strings.Repeat("9", 16000) + "}]",
		"many quotes":        strings.Repeat(`"`, 16000),
		"comments":           strings.Repeat("#\n", 8000),
		"documents":          strings.Repeat("---\n", 4000),
		"question marks":     strings.Repeat("? ", 8000),
		"too large":          strings.Repeat("a", MaxSize+1),
	} {
		const limit = 4 * time.Second // with the race detector on a busy machine; a bomb takes minutes
		took := time.Minute
		for try := 0; try < 3 && took > limit; try++ {
			begun := time.Now()
			_, err := Parse(text, "")
			took = time.Since(begun)
			if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if took > limit {
			t.Errorf("%s: %d bytes took %s", name, len(text), took)
		}
	}
}
