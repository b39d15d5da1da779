package sriovcni

import (
	"strings"
	"testing"
)

// FuzzImport: whatever a file holds, there is a config that the daemon reads but for what a note names, or an error that
// names the file, and never both.
func FuzzImport(f *testing.F) {
	for _, c := range cases {
		f.Add(string(mustRead(f, c.file)), c.args)
	}
	f.Fuzz(func(t *testing.T, content, cniArgs string) {
		args, err := ParseArgs(cniArgs)
		if err != nil {
			return
		}
		result, err := Import([]File{{"f", []byte(content)}}, args)
		if err != nil {
			if result != nil {
				t.Errorf("both a result and %v", err)
			}
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f:") && !strings.HasPrefix(line, "the config of all networks together:") {
					t.Errorf("the error %q does not name the file", line)
				}
			}
			return
		}
		for _, note := range result.Notes {
			if strings.ContainsAny(note.String(), "\n\r") {
				t.Errorf("the note %q has more than a line", note)
			}
		}
		if len(result.Config.Networks) == 0 {
			return
		}
		output, err := result.YAML()
		if err != nil {
			t.Fatal(err)
		}
		checkValid(t, result, output)
	})
}

func mustRead(f *testing.F, name string) []byte {
	f.Helper()
	content, err := readTestdata(name)
	if err != nil {
		f.Fatal(err)
	}
	return content
}
