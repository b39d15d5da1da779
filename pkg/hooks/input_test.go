package hooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/containerd/nri/pkg/api"
	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/attach/attachtest"
	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/journal"
	"github.com/nri-sriov/nri-sriov/pkg/request"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
	"github.com/sirupsen/logrus"
)

const inputConfig = `
apiVersion: sriov.nri.io/v1alpha1
kind: NodeConfig
networks:
  - {name: public, allow: [mac, ips], subnets: ["192.0.2.0/24"]}
  - {name: fast, device: vfio, allow: [mac, ips], subnets: ["192.0.2.0/24"]}
`

// direct is a plugin that the test calls itself: the runtime's wire takes no text that is not UTF-8. Its folders lie deep
// in a tree of the test, so that a path that leads out of them ends in the tree.
type direct struct {
	*testing.T
	*hooks.Plugin
	node     *hooks.Node
	tree     string
	attacher *attach.Attacher
	log      bothForms
}

// bothForms writes the log in both of its forms.
type bothForms struct {
	mutex      sync.Mutex
	text, json bytes.Buffer
}

func (b *bothForms) Format(entry *logrus.Entry) ([]byte, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	entry.Buffer = nil // which both would write to
	text, err := (&logrus.TextFormatter{DisableColors: true, FullTimestamp: true}).Format(entry)
	b.text.Write(text)
	object, jsonErr := (&logrus.JSONFormatter{}).Format(entry)
	b.json.Write(object)
	return nil, errors.Join(err, jsonErr)
}

// written is what was written so far.
func (b *bothForms) written() (text, object string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String(), b.json.String()
}

func newDirect(t *testing.T) *direct {
	t.Helper()
	d := &direct{T: t, tree: t.TempDir()}
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.SetFormatter(&d.log)
	log.SetLevel(logrus.TraceLevel)
	run := filepath.Join(d.tree, "a/b/c/run")
	huge := filepath.Join(d.tree, "a/b/c/huge")
	for _, dir := range []string{run, huge} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	world := attachtest.NewWorld(1, 4)
	records, err := journal.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	results, err := attach.OpenResults(run)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(huge)
	if err != nil {
		t.Fatal(err)
	}
	hugepages, err := attach.HugepagesIn(huge, root)
	if err != nil {
		t.Fatal(err)
	}
	node, err := config.Parse("test.yaml", []byte(inputConfig))
	if err != nil {
		t.Fatal(err)
	}
	d.attacher = attach.New(t.Context(), attach.Options{
		Pool: inventory.NewPool(isolated(world.Providers())), Journal: records, Results: results, Hugepages: hugepages,
		Device: world, Address: world, Announce: world, Settings: world.SettingsOf, Open: vf.OpenNamespace,
		Times: attach.DefaultTimes(), Log: log,
	})
	d.node = &hooks.Node{Config: node, Attacher: d.attacher, Results: results, Hugepages: hugepages, Given: given}
	d.Plugin = hooks.New(log, nil)
	d.Start(d.node)
	t.Cleanup(func() {
		if err := d.attacher.Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// files lists what is below the tree, by its path there; folders end in a slash.
func (d *direct) files() []string {
	d.Helper()
	var files []string
	err := filepath.WalkDir(d.tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone meanwhile
		}
		name := strings.TrimPrefix(path, d.tree)
		if entry.IsDir() {
			name += "/"
		}
		files = append(files, name)
		return nil
	})
	if err != nil {
		d.Fatal(err)
	}
	return files
}

// live lets a pod live its whole life, calls midst in the middle of it, and gives every error.
func (d *direct) live(pod *api.PodSandbox, container *api.Container, midst func()) (errs []error) {
	d.Helper()
	ctx := d.Context()
	errs = append(errs, d.RunPodSandbox(ctx, pod))
	_, _, err := d.CreateContainer(ctx, pod, container)
	errs = append(errs, err)
	_, err = d.Synchronize(ctx, []*api.PodSandbox{pod}, nil)
	errs = append(errs, err)
	midst()
	errs = append(errs, d.StopPodSandbox(ctx, pod), d.RemovePodSandbox(ctx, pod))
	for range 1000 {
		if !d.attacher.Known(pod.GetId()) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return errs
}

// hostile are texts of somebody who wants a file, a line or a setting that is not theirs.
func hostile(tree string) []string {
	return []string{
		"", ".", "..", "../x", "../../../../x", "a/../../x", "/", tree + "/evil", "x/" + tree + "/evil", "a\x00b", "a\nlevel=error msg=forged",
		"a\r\n\x1b[2Jb", "a\u2028b", "a\u202eb", "%d", "%s%n", "a b", "a;b", "a=b;K8S_POD_UID=x", "*", "~root", "-rf", "lo", "eth0", "all",
		"default", "con\xff\xfe", "\xc3\x28", strings.Repeat("a", 300), strings.Repeat("../", 40) + "x", "é", "${HOME}", "$(id)", "`id`",
		`{"a":1}`, "[", "&a *a", "!!python/object", "0000:01:00.0", "public/../x", "vfio/0", "nul\\..\\x",
	}
}

// field is one text that comes from the pod or the runtime.
type field struct {
	name string
	set  func(pod *api.PodSandbox, container *api.Container, text string)
}

func fields() []field {
	networks := func(format string) func(*api.PodSandbox, *api.Container, string) {
		return func(pod *api.PodSandbox, _ *api.Container, text string) {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err)
			}
			pod.Annotations[request.NetworksAnnotation] = fmt.Sprintf(format, quoted)
		}
	}
	return []field{
		{"nothing", func(*api.PodSandbox, *api.Container, string) {}},
		{"sandbox id", func(p *api.PodSandbox, c *api.Container, s string) { p.Id, c.PodSandboxId = s, s }},
		{"pod name", func(p *api.PodSandbox, _ *api.Container, s string) { p.Name = s }},
		{"name of a refused pod", func(p *api.PodSandbox, _ *api.Container, s string) {
			p.Name, p.Annotations[request.NetworksAnnotation] = s, "nowhere"
		}},
		{"namespace of a refused pod", func(p *api.PodSandbox, _ *api.Container, s string) {
			p.Namespace, p.Annotations[request.NetworksAnnotation] = s, "nowhere"
		}},
		{"pod uid", func(p *api.PodSandbox, _ *api.Container, s string) { p.Uid = s }},
		{"namespace", func(p *api.PodSandbox, _ *api.Container, s string) { p.Namespace = s }},
		{"runtime handler", func(p *api.PodSandbox, _ *api.Container, s string) { p.RuntimeHandler = s }},
		{"label", func(p *api.PodSandbox, _ *api.Container, s string) { p.Labels = map[string]string{s: s} }},
		{"netns", func(p *api.PodSandbox, _ *api.Container, s string) { p.Linux.Namespaces[0].Path = s }},
		{"cgroup", func(p *api.PodSandbox, _ *api.Container, s string) { p.Linux.CgroupsPath, p.Linux.CgroupParent = s, s }},
		{"cpuset", func(p *api.PodSandbox, _ *api.Container, s string) {
			p.Linux.Resources = &api.LinuxResources{Cpu: &api.LinuxCPU{Cpus: s}}
		}},
		{"annotation", func(p *api.PodSandbox, _ *api.Container, s string) { p.Annotations[request.NetworksAnnotation] = s }},
		{"group policy", func(p *api.PodSandbox, _ *api.Container, s string) { p.Annotations[request.GroupPolicyAnnotation] = s }},
		{"network", networks(`[{"network": %s}]`)},
		{"interface", networks(`[{"network": "public", "name": %s}]`)},
		{"interface of vfio", networks(`[{"network": "fast", "name": %s}]`)},
		{"interfaces", networks(`[{"network": "public", "count": 2, "name": %s}]`)},
		{"mac", networks(`[{"network": "public", "mac": %s}]`)},
		{"ip", networks(`[{"network": "public", "ips": [%s]}]`)},
		{"trait", networks(`[{"network": "public", "required": [%s]}]`)},
		{"container of a network", networks(`[{"network": "fast", "containers": [%s]}]`)},
		{"key", networks(`[{"network": "public", %s: 1}]`)},
		{"container id", func(_ *api.PodSandbox, c *api.Container, s string) { c.Id = s }},
		{"container name", func(_ *api.PodSandbox, c *api.Container, s string) { c.Name = s }},
		{"container of vfio", func(p *api.PodSandbox, c *api.Container, s string) {
			p.Annotations[request.NetworksAnnotation], c.Name = "fast", s
		}},
		{"mount", func(p *api.PodSandbox, c *api.Container, s string) {
			p.Annotations[request.NetworksAnnotation] = "fast"
			c.Mounts = []*api.Mount{{Destination: s, Source: s, Type: "bind"}}
		}},
		{"device", func(p *api.PodSandbox, c *api.Container, s string) {
			p.Annotations[request.NetworksAnnotation] = "fast"
			c.Linux = &api.LinuxContainer{Devices: []*api.LinuxDevice{{Path: s, Type: s}}}
		}},
	}
}

// allowed are all forms that the names of files may have: ids as the runtime makes them, names of interfaces and of
// containers, each of one part.
var allowed = regexp.MustCompile(`^/(a/(b/(c/)?)?)?$|^/a/b/c/(run|huge)/$|^/a/b/c/run/(sandboxes|results|networks)/$` +
	`|^/a/b/c/run/sandboxes/([A-Za-z0-9][A-Za-z0-9_.-]{0,127}\.json|\.draft-[0-9]+)$` +
	`|^/a/b/c/run/results/[A-Za-z0-9][A-Za-z0-9_.-]{0,127}/([A-Za-z0-9][A-Za-z0-9_.-]{0,14}\.json|\.[A-Za-z0-9][A-Za-z0-9_.-]{0,14}\.draft)?$` +
	`|^/a/b/c/run/networks/[A-Za-z0-9][A-Za-z0-9_.-]{0,127}/([A-Za-z0-9][A-Za-z0-9_.-]{0,127}\.json|\.[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\.draft)?$` +
	`|^/a/b/c/huge/nri-sriov/([A-Za-z0-9][A-Za-z0-9_.-]{0,127}/([A-Za-z0-9][A-Za-z0-9_.-]{0,127}/)?)?$`)

// eachHostile lets a pod live for each field and text.
func eachHostile(t *testing.T, d *direct, midst func(what string), end func(what string, errs []error)) {
	t.Helper()
	for _, one := range fields() {
		for i, text := range hostile(d.tree) {
			p := pod("s1", "prod", "public")
			c := &api.Container{Id: "c1", PodSandboxId: "s1", Name: "app"}
			one.set(p, c, text)
			what := fmt.Sprintf("%s %d %q", one.name, i, text)
			end(what, d.live(p, c, func() { midst(what) }))
		}
	}
}

// TestNoTextNamesAFile: whatever a pod or its runtime says, the names of all files have one of a few forms, and nothing
// stays when the pod has ended.
func TestNoTextNamesAFile(t *testing.T) {
	d := newDirect(t)
	seen := map[string]bool{}
	eachHostile(t, d, func(what string) {
		for _, name := range d.files() {
			if !allowed.MatchString(name) {
				t.Errorf("%s: the file %q", what, name)
			}
			seen[filepath.Dir(strings.TrimSuffix(name, "/"))] = true
			if text, err := os.ReadFile(filepath.Join(d.tree, name)); strings.HasSuffix(name, ".json") && err == nil && !json.Valid(text) {
				t.Errorf("%s: %s is no JSON: %s", what, name, text)
			}
		}
	}, func(string, []error) {})
	for _, dir := range []string{"/a/b/c/run/sandboxes", "/a/b/c/run/results/s1", "/a/b/c/run/networks/s1", "/a/b/c/huge/nri-sriov/s1"} {
		if !seen[dir] {
			t.Errorf("nothing was ever made in %s", dir)
		}
	}
	want := "/ /a/ /a/b/ /a/b/c/ /a/b/c/huge/ /a/b/c/huge/nri-sriov/ /a/b/c/run/ /a/b/c/run/networks/ /a/b/c/run/results/ /a/b/c/run/sandboxes/"
	if got := strings.Join(d.files(), " "); got != want {
		t.Errorf("left are %s", got)
	}
}

// TestNoTextMakesALine: whatever a pod or its runtime says, an error is one line that the kubelet can show, and an entry of
// the log is one line that begins as ours do.
func TestNoTextMakesALine(t *testing.T) {
	d := newDirect(t)
	eachHostile(t, d, func(string) {}, func(what string, errs []error) {
		for _, err := range errs {
			if err == nil {
				continue
			}
			text := err.Error()
			if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: the error is %q", what, text)
			}
			if len(text) > 1000 {
				t.Errorf("%s: an error of %d bytes", what, len(text))
			}
		}
	})
	if err := d.attacher.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`^time="[^"]*" level=(trace|debug|info|warning|error) msg="?[A-Za-z]`)
	asText, asJSON := d.log.written()
	for form, lines := range map[string]string{"text": asText, "json": asJSON} {
		all := strings.Split(strings.TrimSuffix(lines, "\n"), "\n")
		if len(all) < 500 {
			t.Errorf("%d lines only", len(all))
		}
		for _, line := range all {
			if strings.ContainsFunc(line, unicode.IsControl) || form == "text" && !text.MatchString(line) || form == "json" && !json.Valid([]byte(line)) {
				t.Errorf("a line of the log: %q", line)
			}
		}
	}
}

// TestOtherAnnotationsSayNothing: a pod cannot reach a setting through any other annotation or label, whoever knows it.
func TestOtherAnnotationsSayNothing(t *testing.T) {
	answer := func(annotations map[string]string) string {
		d := newDirect(t)
		p := pod("s1", "prod", "public")
		for key, text := range annotations {
			p.Annotations[key] = text
		}
		p.Labels = annotations
		if err := d.RunPodSandbox(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		c := &api.Container{Id: "c1", PodSandboxId: "s1", Name: "app", Annotations: annotations, Env: []string{"NRI_SRIOV_NETWORKS=/etc/passwd"}}
		adjustment, _, err := d.CreateContainer(t.Context(), p, c)
		if err != nil {
			t.Fatal(err)
		}
		text := adjustment.String()
		for _, mount := range adjustment.GetMounts() {
			content, err := os.ReadFile(mount.Source)
			if err != nil {
				t.Fatal(err)
			}
			text += string(content)
		}
		return strings.ReplaceAll(strings.ReplaceAll(text, d.tree, ""), "  ", " ")
	}
	others := map[string]string{
		"sriov.nri.io/vlan": "7", "sriov.nri.io/trust": "true", "sriov.nri.io/pciAddress": "0000:01:10.3", "sriov.nri.io/networks.app": "fast",
		"k8s.v1.cni.cncf.io/networks": "fast", "cdi.k8s.io/nri-sriov": "vendor.com/net=all", "org.systemd.property.DeviceAllow": "a",
		"io.kubernetes.cri-o.Devices": "/dev/vfio/vfio", "containers.nri.io/hooks": "x", "tolerate-missing-plugins.noderesource.dev": "true",
		"devices.noderesource.dev/container.app": "- path: /dev/mem", "mounts.noderesource.dev/container.app": "- source: /",
	}
	if plain, got := answer(nil), answer(others); got != plain {
		t.Errorf("with other annotations:\n%s\nwithout:\n%s", got, plain)
	}
}

// TestIDsThatAreNoFileNames: a sandbox with such an id gets nothing at all.
func TestIDsThatAreNoFileNames(t *testing.T) {
	d := newDirect(t)
	for _, id := range []string{"", ".", "..", "../x", "a/b", "/x", ".hidden", "-rf", "a b", "a\x00b", "a\nb", strings.Repeat("a", 129)} {
		p := pod(id, "prod", "public")
		if err := d.RunPodSandbox(t.Context(), p); err == nil || !strings.Contains(err.Error(), "is not fit for a file name") {
			t.Errorf("sandbox id %q: %v", id, err)
		}
		if d.attacher.Known(id) {
			t.Errorf("sandbox id %q was taken", id)
		}
	}
}
