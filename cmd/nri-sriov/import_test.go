package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

const attachment = `apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: public, namespace: prod}
spec: {config: '{"type": "sriov", "vlan": 100, "logLevel": "debug"}'}
`

// runImport gives the exit code, and what is on both outputs.
func runImport(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	root := newRoot()
	root.SetArgs(append([]string{"import"}, args...))
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errors)
	return exitCode(root.ExecuteContext(t.Context())), out.String(), errors.String()
}

func TestImportFromStandardInput(t *testing.T) {
	code, stdout, stderr := runImport(t, attachment, "-")
	node, err := config.Parse("stdout", []byte(stdout))
	if code != 0 || err != nil {
		t.Fatalf("%d, %v\n%s", code, err, stdout)
	}
	if n := node.Networks[0]; n.Name != "public" || n.Settings.VLAN.ID != 100 || !n.Admits("prod") || n.Admits("test") {
		t.Errorf("network %+v", n)
	}
	line := "not carried over: standard input: logLevel: "
	if !strings.Contains(stdout, "# "+line) || !strings.Contains(stderr, line) {
		t.Errorf("no %q in\n%s\nand\n%s", line, stdout, stderr)
	}
}

func TestImportJSON(t *testing.T) {
	code, stdout, _ := runImport(t, attachment, "-o", "json", "--cni-args", "VLAN=7", "-")
	var answer struct {
		Config struct {
			Networks []struct {
				Name string
				VLAN struct{ ID int }
			}
		}
		Annotations []struct{ Network, Key, Value string }
		Notes       []struct{ Kind, File, Key, Message string }
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != 0 {
		t.Fatalf("%d, %v in\n%s", code, err, stdout)
	}
	if len(answer.Config.Networks) != 1 || answer.Config.Networks[0].VLAN.ID != 7 || len(answer.Notes) == 0 ||
		len(answer.Annotations) != 1 || answer.Annotations[0].Value != "public" {
		t.Errorf("answer %+v", answer)
	}
}

func TestImportExitCodes(t *testing.T) {
	dir := t.TempDir()
	good, broken, other := filepath.Join(dir, "good"), filepath.Join(dir, "broken"), filepath.Join(dir, "other")
	for path, text := range map[string]string{good: attachment, broken: `{"type": "sriov", "vlan": 5000}`, other: `{"type": "bridge"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{good}, 0},
		{[]string{good, other}, 0},
		{[]string{other}, 1},
		{[]string{good, broken}, 1},
		{[]string{filepath.Join(dir, "none")}, 1},
		{[]string{dir}, 1},
		{[]string{"-"}, 1},
		{[]string{}, 2},
		{[]string{"-", "-"}, 2},
		{[]string{"-o", "xml", good}, 2},
		{[]string{"--cni-args", "VLAN", good}, 2},
	} {
		code, stdout, _ := runImport(t, "", c.args...)
		if code != c.want {
			t.Errorf("%v ends with %d, wanted %d", c.args, code, c.want)
		}
		if code != 0 && stdout != "" {
			t.Errorf("%v writes %q all the same", c.args, stdout)
		}
	}
}
