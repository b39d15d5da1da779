package cni

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake is a plugin that notes what it is asked: commands has a line for each call, stdin.ADD and env.ADD what came with
// it, pids the processes that it started and left.
type fake struct{ dir string }

// plugin writes a plugin "fake" whose reaction to each command is a piece of shell.
func plugin(t *testing.T, reactions map[string]string) fake {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\ncd " + dir + "\necho $CNI_COMMAND >>commands\necho $$ >>pids\n" +
		"tr '\\0' '\\n' </proc/$$/environ | sort >env.$CNI_COMMAND\ncat >stdin.$CNI_COMMAND\ncase $CNI_COMMAND in\n"
	for command, reaction := range reactions {
		script += command + ")\n" + reaction + "\n;;\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "fake"), []byte(script+"esac\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return fake{dir: dir}
}

func say(text string) string { return "cat <<'END'\n" + text + "\nEND" }

func (f fake) ipam() *IPAM { return NewIPAM([]string{"/nowhere", f.dir}) }

// note is what the plugin wrote down.
func (f fake) note(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func call(version string) Call {
	return Call{
		Network: "public", CNIVersion: version, Config: []byte(`{"range":"192.0.2.0/24","type":"fake"}`),
		ContainerID: "abc123", NetNS: "/run/netns/x", Interface: "net1",
		Namespace: "prod", Name: "web", UID: "6f1c", InfraID: "abc123",
	}
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAddInEachVersion(t *testing.T) {
	for version, text := range good {
		f := plugin(t, map[string]string{"ADD": say(text)})
		lease, err := f.ipam().Add(soon(t), call(version))
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		if diff := cmp.Diff(goodLease, lease, byValue); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
		if asked := f.note(t, "commands"); asked != "ADD" {
			t.Errorf("%s: asked %q", version, asked)
		}
	}
}

func TestWhatThePluginIsTold(t *testing.T) {
	t.Setenv("SECRET", "of the daemon")
	f := plugin(t, map[string]string{"ADD": say(good["1.1.0"])})
	c := call("1.1.0")
	c.IPs, c.MAC = []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24")}, "02:00:00:00:00:11"
	lease, err := f.ipam().Add(soon(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.ipam().Check(soon(t), c, lease); err != nil {
		t.Fatal(err)
	}
	if err := f.ipam().Delete(soon(t), call("0.4.0")); err != nil {
		t.Fatal(err)
	}
	if err := f.ipam().GC(soon(t), c, []ValidAttachment{{ContainerID: "abc123", IfName: "net1"}}); err != nil {
		t.Fatal(err)
	}
	const asked = `"ipam":{"range":"192.0.2.0/24","type":"fake"},"args":{"cni":{"ips":["192.0.2.5/24"]}},` +
		`"runtimeConfig":{"ips":["192.0.2.5/24"],"mac":"02:00:00:00:00:11"}`
	const attachment = "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=abc123;K8S_POD_UID=6f1c\n"
	path := "CNI_PATH=/nowhere:" + f.dir + "\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for name, want := range map[string]string{
		"stdin.ADD": `{"cniVersion":"1.1.0","name":"public","type":"nri-sriov",` + asked + `}`,
		"stdin.CHECK": `{"cniVersion":"1.1.0","name":"public","type":"nri-sriov",` + asked + `,"prevResult":{"cniVersion":"1.1.0",` +
			`"dns":{"nameservers":["192.0.2.53"]},"interfaces":[{"mac":"02:00:00:00:00:11","name":"net1","sandbox":"/run/netns/x"}],` +
			`"ips":[{"address":"192.0.2.5/24","gateway":"192.0.2.1","interface":0},{"address":"2001:db8::5/64","interface":0}],` +
			`"routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1"},{"dst":"2001:db8:1::/48"}]}}`,
		"stdin.DEL": `{"cniVersion":"0.4.0","name":"public","type":"nri-sriov","ipam":{"range":"192.0.2.0/24","type":"fake"}}`,
		"stdin.GC": `{"cniVersion":"1.1.0","name":"public","type":"nri-sriov","ipam":{"range":"192.0.2.0/24","type":"fake"},` +
			`"cni.dev/valid-attachments":[{"containerID":"abc123","ifname":"net1"}]}`,
		"env.ADD":  attachment + "CNI_COMMAND=ADD\nCNI_CONTAINERID=abc123\nCNI_IFNAME=net1\nCNI_NETNS=/run/netns/x\n" + path,
		"env.GC":   "CNI_COMMAND=GC\n" + path,
		"commands": "ADD\nCHECK\nDEL\nGC",
	} {
		if diff := cmp.Diff(want, f.note(t, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestVersionsThatDoNotHaveTheCommand(t *testing.T) {
	f := plugin(t, nil)
	if err := f.ipam().Check(soon(t), call("0.3.1"), goodLease); err != nil {
		t.Error(err)
	}
	if err := f.ipam().GC(soon(t), call("1.0.0"), nil); err != nil {
		t.Error(err)
	}
	if asked := f.note(t, "commands"); asked != "" {
		t.Errorf("asked %q", asked)
	}
	if err := f.ipam().GC(soon(t), call("1.1.0"), nil); err != nil || !strings.HasSuffix(f.note(t, "stdin.GC"), `"cni.dev/valid-attachments":[]}`) {
		t.Errorf("GC of everything: %v, %s", err, f.note(t, "stdin.GC"))
	}
	for _, answer := range []string{
		`{"code":1,"msg":"plugin version does not allow GC"}`, `{"code":4,"msg":"unknown CNI_COMMAND: GC"}`,
	} {
		if err := plugin(t, map[string]string{"GC": say(answer) + "\nexit 1"}).ipam().GC(soon(t), call("1.1.0"), nil); err != nil {
			t.Error(err)
		}
	}
	err := plugin(t, map[string]string{"GC": "exit 1"}).ipam().GC(soon(t), call("1.1.0"), nil)
	if want := `ipam plugin "fake": GC ended with exit status 1 and did not say why`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFailedAddGivesBack(t *testing.T) {
	refusal := say(`{"cniVersion":"1.1.0","code":11,"msg":"no IP addresses\navailable","details":"in 192.0.2.0/24"}`) + "\nexit 1"
	for name, test := range map[string]struct{ add, del, want string }{
		"error object":      {refusal, "", "ADD was refused: no IP addresses available; in 192.0.2.0/24 (code 11)"},
		"error and success": {say(`{"code":999,"msg":"odd"}`), "", "ADD was refused: odd (code 999)"},
		"no reason":         {say(`{"code":999}`), "", "ADD was refused: it does not say why (code 999)"},
		"version": {
			say(`{"code":1,"msg":"incompatible"}`) + "\nexit 1", "",
			"ADD was refused: incompatible (code 1); set the network's cniVersion to one that the plugin knows",
		},
		"words on stderr": {"echo no database >&2; exit 3", "", "ADD ended with exit status 3: no database"},
		"words on stdout": {"echo no database; exit 3", "", "ADD ended with exit status 3: no database"},
		"no words":        {"exit 3", "", "ADD ended with exit status 3 and did not say why"},
		"signal":          {"kill -SEGV $$", "", "ADD ended with signal: segmentation fault and did not say why"},
		"garbage":         {"echo hello", "", `its answer to ADD: it is no JSON object but "hello"`},
		"empty":           {"", "", "its answer to ADD: it is empty"},
		"no addresses":    {say(`{"cniVersion":"1.0.0"}`), "", "its answer to ADD: it has no addresses"},
		"other address":   {say(`{"ips":[{"address":"192.0.2.9/24"}]}`), "", "it did not give 192.0.2.5, which the pod asks for, but [192.0.2.9/24]"},
		"huge output":     {"yes", "", "ADD wrote more than 1048576 bytes (1 MiB) and was killed"},
		"huge and ended":  {"head -c 1048577 /dev/zero", "", "ADD wrote more than 1048576 bytes (1 MiB) and was killed"},
		"huge stderr":     {"head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1", "", "ADD ended with exit status 1: " + strings.Repeat("x", 300) + "…"},
		"undo fails": {
			"exit 3", "echo still locked >&2; exit 4",
			"ADD ended with exit status 3 and did not say why; what it may have given was not given back: DEL ended with exit status 4: still locked",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := plugin(t, map[string]string{"ADD": test.add, "DEL": test.del})
			c := call("1.1.0")
			c.IPs = []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24")}
			lease, err := f.ipam().Add(soon(t), c)
			if err == nil {
				t.Fatalf("it gave %v", lease)
			}
			if diff := cmp.Diff(`ipam plugin "fake": `+test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if asked := f.note(t, "commands"); asked != "ADD\nDEL" {
				t.Errorf("asked %q", asked)
			}
			if lease.Addresses != nil {
				t.Errorf("an error and the lease %v", lease)
			}
		})
	}
}

func TestPluginThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"plain": 0o644, "script": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/nowhere/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"absent": `ipam plugin "absent": no such plugin in /nowhere, ` + dir + ": install it there",
		"plain":  `ipam plugin "plain": ` + dir + "/plain is not an executable file: mend its mode or install the plugin again",
		"folder": `ipam plugin "folder": ` + dir + "/folder is not an executable file: mend its mode or install the plugin again",
		"script": `was not started: fork/exec ` + dir + `/script: no such file or directory`,
		"../" + filepath.Base(dir) + "/script": `ipam plugin: "../` + filepath.Base(dir) + `/script" is not the file name of a plugin: ` +
			"1 to 63 of a-z, 0-9, dot, _ and -, with a letter or digit at both ends",
	} {
		p, c := NewIPAM([]string{"/nowhere", dir}), call("1.1.0")
		c.Config = []byte(`{"type":"` + name + `"}`)
		_, addErr := p.Add(soon(t), c)
		for command, err := range map[string]error{
			"ADD": addErr, "CHECK": p.Check(soon(t), c, goodLease), "DEL": p.Delete(soon(t), c), "GC": p.GC(soon(t), c, nil),
		} {
			if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "given back") {
				t.Errorf("%s: got %v, want %s", command, err, want)
			}
			if errors.Is(err, ErrNoPlugin) != (name == "absent") {
				t.Errorf("%s: %v is ErrNoPlugin: %v", command, err, errors.Is(err, ErrNoPlugin))
			}
		}
	}
}

func TestCallsThatNoPluginGets(t *testing.T) {
	f := plugin(t, nil)
	for want, change := range map[string]func(*Call){
		`"a;b" cannot be told to a plugin: it holds ';', '=', a line's end or a zero byte`: func(c *Call) { c.Namespace = "a;b" },
		`"a=b" cannot be told to a plugin: it holds ';', '=', a line's end or a zero byte`: func(c *Call) { c.Name = "a=b" },
		`"\n" cannot be told to a plugin: it holds ';', '=', a line's end or a zero byte`:  func(c *Call) { c.UID = "\n" },
		`";" cannot be told to a plugin: it holds ';', '=', a line's end or a zero byte`:   func(c *Call) { c.InfraID = ";" },
		`CNI version "0.2.0" is none of 0.3.1, 0.4.0, 1.0.0, 1.1.0`:                        func(c *Call) { c.CNIVersion = "0.2.0" },
		`network "a/b": invalid characters found in network name; a/b`:                     func(c *Call) { c.Network = "a/b" },
		`container id "../x": invalid characters in containerID; ../x`:                     func(c *Call) { c.ContainerID = "../x" },
		`interface "": interface name is empty`:                                            func(c *Call) { c.Interface = "" },
		"the network namespace is missing":                                                 func(c *Call) { c.NetNS = "" },
		`"02:00" is not a MAC address`:                                                     func(c *Call) { c.MAC = "02:00" },
	} {
		c := call("1.1.0")
		change(&c)
		if _, err := f.ipam().Add(soon(t), c); err == nil || err.Error() != `ipam plugin "fake": `+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	c := call("1.1.0")
	c.Config = []byte(`"fake"`)
	if _, err := f.ipam().Add(soon(t), c); err == nil || !strings.HasPrefix(err.Error(), "ipam plugin: the configuration of the plugin is no JSON object: ") {
		t.Errorf("got %v", err)
	}
	if asked := f.note(t, "commands"); asked != "" {
		t.Errorf("asked %q", asked)
	}
	c = call("1.1.0")
	c.NetNS = "" // the sandbox's namespace may be gone
	if err := f.ipam().Delete(soon(t), c); err != nil {
		t.Error(err)
	}
}
