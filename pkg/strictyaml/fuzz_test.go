package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse: whatever the text is, there is a value or there are errors that a person can read, and a value can be
// walked through and decoded without a panic.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := Parse(text)
		if err != nil {
			checkErrors(t, text, err)
			return
		}
		if root.Kind() == Absent {
			t.Fatal("neither an error nor a value")
		}
		walkValue(t, root, 1)
		var into rack
		if err := root.Decode(&into); err != nil {
			checkErrors(t, text, err)
		}
	})
}

func checkErrors(t *testing.T, text []byte, err error) {
	t.Helper()
	var found Errors
	if !errors.As(err, &found) || len(found) == 0 || len(found) > maxErrors {
		t.Fatalf("%T is not a list of errors: %v", err, err)
	}
	for _, one := range found {
		message := one.Error()
		switch {
		case one.Message == "" || !utf8.ValidString(message):
			t.Errorf("message %q", message)
		case strings.IndexFunc(message, invisible) >= 0:
			t.Errorf("the message %q does not print", message)
		case one.Line < 0 || one.Line > 2+strings.Count(string(text), "\n")+strings.Count(string(text), "\r"):
			t.Errorf("line %d does not exist", one.Line)
		case len(message) > 4000:
			t.Errorf("a message of %d bytes", len(message))
		}
	}
}

func walkValue(t *testing.T, v Value, depth int) {
	t.Helper()
	if v.Lines().At(v.Path()) == 0 {
		t.Errorf("%q has no line", v.Path())
	}
	switch v.Kind() {
	case List:
		if depth > maxDepth {
			t.Fatalf("%q is too deep", v.Path())
		}
		for _, item := range v.Items() {
			walkValue(t, item, depth+1)
		}
	case Map:
		for i := 0; i < len(v.node.Content); i += 2 {
			key := v.node.Content[i].Value
			if v.Field(key).Kind() == Absent {
				t.Fatalf("%q has no field %q", v.Path(), key)
			}
		}
	default:
		if text, ok := v.Scalar(); !ok || strings.IndexFunc(text, invisible) >= 0 {
			t.Errorf("scalar %q, %t", text, ok)
		}
	}
}
