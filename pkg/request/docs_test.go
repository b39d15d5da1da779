package request

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheAnnotationIsDocumented: the table has each key and nothing else, and the bounds and the example are right.
func TestTheAnnotationIsDocumented(t *testing.T) {
	file, err := os.ReadFile("../../docs/annotation.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(file)
	var keys, told []string
	for i := range reflect.TypeFor[rawRequest]().NumField() {
		keys = append(keys, reflect.TypeFor[rawRequest]().Field(i).Tag.Get("yaml"))
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(text, -1) {
		for _, key := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			told = append(told, key[1])
		}
	}
	slices.Sort(keys)
	slices.Sort(told)
	if !slices.Equal(keys, told) {
		t.Errorf("the table has %v, the annotation %v", told, keys)
	}
	for _, bound := range []string{
		fmt.Sprintf("at most %d KiB and for at most %d VFs", MaxSize>>10, MaxVFs), fmt.Sprintf("| 1–%d; 1 |", MaxVFs), fmt.Sprintf("up to %d addresses", MaxIPs),
	} {
		if !strings.Contains(text, bound) {
			t.Errorf("it does not say %q", bound)
		}
	}
	_, example, _ := strings.Cut(text, NetworksAnnotation+": |\n")
	example, policy, _ := strings.Cut(example, "    "+GroupPolicyAnnotation+": ")
	policy, _, _ = strings.Cut(policy, "\n")
	pod, err := Parse(example, policy)
	if err != nil || len(pod.Groups) != 2 || !pod.Isolate || !slices.Equal(pod.Groups[1].Interfaces, []string{"data0", "data1"}) {
		t.Errorf("the example is %+v, %v", pod, err)
	}
}
