package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestCommandsAreDocumented: docs/cli.md ends with what each command says of itself. On failure it prints that.
func TestCommandsAreDocumented(t *testing.T) {
	var reference strings.Builder
	for _, command := range newRoot().Commands() {
		if command.Hidden {
			continue
		}
		fmt.Fprintf(&reference, "\n## %s\n\n%s\n\n```\n%s\n\n%s```\n", command.Name(), cmp.Or(command.Long, command.Short), command.UseLine(), command.LocalFlags().FlagUsages())
	}
	text, err := os.ReadFile("../../docs/cli.md")
	mustDo(t, err)
	if !strings.HasSuffix(string(text), reference.String()) {
		t.Errorf("docs/cli.md does not end with this:\n%s", reference.String())
	}
}
