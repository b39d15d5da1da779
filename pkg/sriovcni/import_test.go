package sriovcni

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

var update = flag.Bool("update", false, "write the golden files")

// cases are the inputs of testdata; args are CNI_ARGS.
var cases = []struct{ file, args string }{
	{file: "today.yaml"},
	{file: "cluster.yaml"},
	{file: "several.yaml"},
	{file: "json.json"},
	{file: "fixed.conf"},
	{file: "chain.conflist"},
	{file: "intel.conf"},
	{file: "intel-l2.conf"},
	{file: "intel-1.0.conf"},
	{file: "xftony.conf"},
	{file: "hustcat.conf", args: "IgnoreUnknown=1;IP=10.55.206.46;VF=1;MAC=66:d8:02:77:aa:ab;VLAN=7"},
	{file: "hustcat-pf.conf"},
}

func imported(t *testing.T, args string, files ...File) *Result {
	t.Helper()
	parsed, err := ParseArgs(args)
	if err != nil {
		t.Fatal(err)
	}
	result, err := Import(files, parsed)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func fromTestdata(t *testing.T, name string) File {
	t.Helper()
	content, err := readTestdata(name)
	if err != nil {
		t.Fatal(err)
	}
	return File{Name: name, Text: content}
}

func readTestdata(name string) ([]byte, error) { return os.ReadFile(filepath.Join("testdata", name)) }

// stable is an output without what the daemon of this release refuses: that is less with every release.
func stable(output string) string {
	var kept strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "# "+Refused+": ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestGolden(t *testing.T) {
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			result := imported(t, c.args, fromTestdata(t, c.file))
			output, err := result.YAML()
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "golden", c.file+".yaml")
			got := stable(string(output))
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			checkValid(t, result, output)
		})
	}
}

func TestEveryInputHasACase(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range cases {
		known[c.file] = true
	}
	for _, entry := range entries {
		if !entry.IsDir() && !known[entry.Name()] {
			t.Errorf("%s is in no case", entry.Name())
		}
	}
}

// checkValid wants of an output that the daemon reads it, but for exactly the keys that a note names.
func checkValid(t *testing.T, result *Result, output []byte) {
	t.Helper()
	noted := map[string]bool{}
	for _, note := range result.Notes {
		if note.Kind == Refused {
			noted[note.Key+": "+note.Message] = true
		}
	}
	_, err := config.Parse("f", output)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			parts := strings.SplitN(line, ":", 3) // f:line: path: message
			problem := strings.TrimSpace(parts[len(parts)-1])
			if !noted[problem] {
				t.Errorf("no note says that run refuses %q", problem)
			}
			delete(noted, problem)
		}
	}
	for problem := range noted {
		t.Errorf("a note says that run refuses %q, which it does not", problem)
	}
	for _, a := range result.Annotations {
		if _, err := request.Parse(a.Value, ""); err != nil {
			t.Errorf("annotation %q: %v", a.Value, err)
		}
	}
	for _, line := range strings.Split(strings.SplitN(string(output), "\napiVersion:", 2)[0], "\n") {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("%q before the config is no comment", line)
		}
	}
}

// TestDPDKModeIsAccepted: nothing of a config in DPDK mode is refused by the daemon any more.
func TestDPDKModeIsAccepted(t *testing.T) {
	for _, file := range []string{"intel.conf", "xftony.conf"} {
		result := imported(t, "", fromTestdata(t, file))
		if device := result.Config.Networks[0].Device; device != config.DeviceVFIO {
			t.Errorf("%s: device %s", file, device)
		}
		for _, note := range result.Notes {
			if note.Kind == Refused {
				t.Errorf("%s: %s", file, note)
			}
		}
	}
}

// TestAnnotationsInComments takes the comment signs away, and reads what is left as a pod's manifest has it.
func TestAnnotationsInComments(t *testing.T) {
	for _, c := range cases {
		for _, a := range imported(t, c.args, fromTestdata(t, c.file)).Annotations {
			content := strings.ReplaceAll(a.comment(), "#   ", "")
			root, ok, wrong := readYAML([]byte(strings.ReplaceAll(content, "#", " ")), 1)
			if !ok || wrong != nil {
				t.Fatalf("%s: %v", content, wrong)
			}
			if v, _ := root.field(a.Key); v.kind != text || v.scalar != a.Value {
				t.Errorf("%q is read as %q", a.comment(), v.scalar)
			}
		}
	}
}

// TestOneConfigOfAll has every input become one config.
func TestOneConfigOfAll(t *testing.T) {
	var files []File
	for _, c := range cases {
		files = append(files, fromTestdata(t, c.file))
	}
	result := imported(t, "", files...)
	output, err := result.YAML()
	if err != nil {
		t.Fatal(err)
	}
	checkValid(t, result, output)
	if len(result.Config.Networks) != 14 || len(result.Config.Providers) != 4 {
		t.Errorf("%d networks and %d providers", len(result.Config.Networks), len(result.Config.Providers))
	}
}

// TestManyNetworks has more comments than a file of the daemon may hold.
func TestManyNetworks(t *testing.T) {
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, "{\"type\": \"sriov\", \"name\": \"network-%d\", \"master\": \"eth%d\", \"logLevel\": \"debug\", \"x\": 1}\n", i, i)
	}
	result := imported(t, "", File{"f", []byte(many.String())})
	output, err := result.YAML()
	if err != nil {
		t.Fatal(err)
	}
	checkValid(t, result, output)
	if want := "writes 500 annotations and 1002 notes."; !strings.Contains(string(output), want) {
		t.Errorf("no %q in\n%.1000s", want, output)
	}
}
