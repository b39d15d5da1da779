package request

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzParse: whatever the annotations are, there is a valid pod, which its own rendering gives again, or one sentence
// that prints.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, networks, groupPolicy string) {
		pod, err := Parse(networks, groupPolicy)
		if err == nil {
			checkPod(t, pod)
			checkRendering(t, pod)
			return
		}
		text := err.Error()
		switch {
		case len(pod.Groups) != 0 || pod.Isolate:
			t.Errorf("both %+v and %v", pod, err)
		case !strings.HasPrefix(text, NetworksAnnotation+": ") && !strings.HasPrefix(text, GroupPolicyAnnotation+": "):
			t.Errorf("%q names no annotation", text)
		case !utf8.ValidString(text) || strings.IndexFunc(text, unicode.IsControl) >= 0 || len(text) > 4000:
			t.Errorf("%q cannot be shown", text)
		case errors.Unwrap(err) == nil:
			t.Errorf("%q wraps nothing", text)
		}
	})
}
