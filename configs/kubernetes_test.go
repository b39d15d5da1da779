package configs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// documents are the YAML documents of a file.
func documents(t *testing.T, file string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n---\n"))
}

// strictly reads a document into the API's own type; a key that the type does not have is an error.
func strictly[T any](t *testing.T, file, kind string) T {
	t.Helper()
	var found T
	for _, text := range documents(t, file) {
		var head struct{ Kind string }
		if err := yaml.Unmarshal(text, &head); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if head.Kind != kind {
			continue
		}
		if err := yaml.UnmarshalStrict(text, &found); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return found
	}
	t.Fatalf("%s has no %s", file, kind)
	return found
}

// TestManifests: every resource of the kustomization is there, of a kind that is known here, and read strictly.
func TestManifests(t *testing.T) {
	var kustomization struct {
		APIVersion, Kind string
		Resources        []string
		Images           []map[string]string
	}
	text, err := os.ReadFile("kubernetes/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(kustomization.Resources) != len(files)-1 {
		t.Errorf("the kustomization has %v of %v, %v", kustomization.Resources, files, err)
	}
	for _, resource := range kustomization.Resources {
		for _, text := range documents(t, "kubernetes/"+resource) {
			var head struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal(text, &head); err != nil {
				t.Fatal(err)
			}
			into, known := map[string]any{
				"v1 Namespace": &corev1.Namespace{}, "v1 ServiceAccount": &corev1.ServiceAccount{}, "v1 ConfigMap": &corev1.ConfigMap{},
				"apps/v1 DaemonSet":                                                &appsv1.DaemonSet{},
				"rbac.authorization.k8s.io/v1 ClusterRole":                         &rbacv1.ClusterRole{},
				"rbac.authorization.k8s.io/v1 ClusterRoleBinding":                  &rbacv1.ClusterRoleBinding{},
				"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy":        &admissionv1.ValidatingAdmissionPolicy{},
				"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding": &admissionv1.ValidatingAdmissionPolicyBinding{},
			}[head.APIVersion+" "+head.Kind]
			if !known {
				t.Errorf("%s has a %s %s", resource, head.APIVersion, head.Kind)
			} else if err := yaml.UnmarshalStrict(text, into); err != nil {
				t.Errorf("%s: %v", resource, err)
			}
		}
	}
}

// TestConfigMap: what is in it is a valid config.
func TestConfigMap(t *testing.T) {
	for name, text := range strictly[corev1.ConfigMap](t, "kubernetes/config.yaml", "ConfigMap").Data {
		node, err := config.Parse(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if node.Taint {
			t.Error("an installation takes every node without NRI out of service")
		}
	}
}

// TestLeastRights: the role has these and no more.
func TestLeastRights(t *testing.T) {
	var rights []string
	for _, rule := range strictly[rbacv1.ClusterRole](t, "kubernetes/rbac.yaml", "ClusterRole").Rules {
		rights = append(rights, fmt.Sprintf("%s %s", strings.Join(rule.Resources, ","), strings.Join(rule.Verbs, ",")))
		if !slices.Equal(rule.APIGroups, []string{""}) || len(rule.NonResourceURLs) > 0 {
			t.Errorf("rule %+v", rule)
		}
	}
	if text := strings.Join(rights, "; "); text != "pods get; pods/status patch; events create,patch; nodes get,patch" {
		t.Errorf("rights: %s", text)
	}
}

// TestDaemonSet: every volume is mounted and the other way round, and what containers must not have is not given.
func TestDaemonSet(t *testing.T) {
	set := strictly[appsv1.DaemonSet](t, "kubernetes/daemonset.yaml", "DaemonSet")
	pod := set.Spec.Template.Spec
	container := pod.Containers[0]
	var volumes, mounts, paths []string
	for _, volume := range pod.Volumes {
		volumes = append(volumes, volume.Name)
	}
	for _, mount := range container.VolumeMounts {
		mounts, paths = append(mounts, mount.Name), append(paths, mount.MountPath)
		if propagates := mount.MountPropagation != nil && *mount.MountPropagation == corev1.MountPropagationHostToContainer; propagates != (mount.Name == "netns") {
			t.Errorf("%s propagates: %v", mount.Name, propagates)
		}
	}
	slices.Sort(volumes)
	slices.Sort(mounts)
	if mounts = slices.Compact(mounts); !slices.Equal(volumes, mounts) {
		t.Errorf("volumes %v, mounts %v", volumes, mounts)
	}
	for _, path := range []string{"/run/netns", "/var/run/netns", "/var/run/nri", "/run/nri-sriov", "/var/lib/nri-sriov", "/sys", "/dev", "/var/lib/cni", "/etc/nri-sriov", "/etc/containerd"} {
		if !slices.Contains(paths, path) {
			t.Errorf("%s is not mounted", path)
		}
	}
	security := container.SecurityContext
	var capabilities []string
	for _, one := range security.Capabilities.Add {
		capabilities = append(capabilities, string(one))
	}
	docs, err := os.ReadFile("../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range capabilities {
		if !strings.Contains(string(docs), "`"+one+"`") {
			t.Errorf("docs/kubernetes.md does not say what %s is for", one)
		}
	}
	slices.Sort(capabilities)
	if text := strings.Join(capabilities, " "); text != "CHOWN DAC_OVERRIDE FOWNER NET_ADMIN NET_RAW SYS_ADMIN SYS_PTRACE" {
		t.Errorf("capabilities %s", text)
	}
	if security.Privileged != nil || !*security.ReadOnlyRootFilesystem || *security.AllowPrivilegeEscalation ||
		!slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("security %+v", security)
	}
	if container.LivenessProbe.HTTPGet.Path != "/healthz" || container.ReadinessProbe.HTTPGet.Path != "/readyz" ||
		container.LivenessProbe.HTTPGet.Host != "127.0.0.1" || !pod.HostNetwork {
		t.Error("the probes do not ask where the daemon listens")
	}
	if probe := container.StartupProbe; probe.HTTPGet.Path != "/healthz" || probe.PeriodSeconds*probe.FailureThreshold < 600 {
		t.Error("a daemon that makes many VFs has not the time to start")
	}
	if probe := container.LivenessProbe; probe.TimeoutSeconds < 5 || probe.PeriodSeconds*probe.FailureThreshold < 120 {
		t.Error("a busy node ends its daemon")
	}
	if set.Spec.Template.Annotations["tolerate-missing-plugins.noderesource.dev"] != "true" {
		t.Error("with required_plugins the daemon waits for itself")
	}
	if pod.PriorityClassName != "system-node-critical" || set.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable.String() != "10%" ||
		*pod.TerminationGracePeriodSeconds <= 40 {
		t.Error("it is not updated as pods on the node need it")
	}
}
