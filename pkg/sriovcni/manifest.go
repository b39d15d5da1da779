package sriovcni

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// resourceNameAnnotation is where a NetworkAttachmentDefinition names the resource of a device plugin.
const resourceNameAnnotation = "k8s.v1.cni.cncf.io/resourceName"

const (
	definitionKind  = "NetworkAttachmentDefinition"
	definitionGroup = "k8s.cni.cncf.io/"
)

// source is one CNI config, and what the manifest around it says.
type source struct {
	document
	// manifest is how people call it, such as NetworkAttachmentDefinition prod/net-a; empty for a plain CNI config.
	manifest string
	// name, namespace and resourceName are the manifest's; empty where it names none.
	name, namespace, resourceName string
	// config is a map: a single config, or a list of plugins.
	config value
}

// isDefinition tells whether a manifest is around the config.
func (s source) isDefinition() bool { return s.manifest != "" }

func isManifest(v value) bool {
	_, hasKind := v.field("kind")
	_, hasVersion := v.field("apiVersion")
	return hasKind && hasVersion
}

// sorting finds the configs in documents.
type sorting struct {
	sources []source
	notes   []Note
	broken  []error
}

func (s *sorting) lost(d document, line int, key, format string, args ...any) {
	s.notes = append(s.notes, Note{NotCarriedOver, d.file, line, key, fmt.Sprintf(format, args...)})
}

func (s *sorting) document(d document) {
	_, hasType := d.root.folded("type")
	_, hasPlugins := d.root.folded("plugins")
	switch {
	case d.root.kind != object:
		s.broken = append(s.broken, d.errorf(d.root.line, "", "this is %s, not a manifest or a CNI config", d.root.kind))
	case isManifest(d.root):
		s.manifest(d, d.root)
	case !hasType && !hasPlugins:
		s.broken = append(s.broken, d.errorf(d.root.line, "", "this is neither a manifest (it lacks apiVersion or kind) "+
			"nor a CNI config (it has neither type nor plugins)"))
	case !d.isJSON:
		s.broken = append(s.broken, d.errorf(d.root.line, "", "this CNI config is not JSON, so no runtime reads it"))
	default:
		s.sources = append(s.sources, source{document: d, config: d.root})
	}
}

func (s *sorting) manifest(d document, root value) {
	kind, _ := root.field("kind")
	version, _ := root.field("apiVersion")
	items, hasItems := root.field("items")
	switch {
	case strings.HasSuffix(kind.scalar, "List") && hasItems && items.kind == list:
		for _, item := range items.items {
			if !isManifest(item) {
				s.broken = append(s.broken, d.errorf(item.line, kind.scalar, "an item lacks apiVersion or kind"))
				continue
			}
			s.manifest(d, item)
		}
	case kind.scalar == definitionKind && strings.HasPrefix(version.scalar, definitionGroup):
		s.definition(d, root)
	case strings.HasPrefix(kind.scalar, "Sriov"):
		s.lost(d, root.line, "kind "+kind.scalar, "only %s is read; take those that the operator made of it: "+
			"kubectl get net-attach-def -A -o yaml", definitionKind)
	default:
		s.lost(d, root.line, "kind "+kind.scalar, "only %s is read", definitionKind)
	}
}

// namespaceForm is a DNS label: a * would become a pattern for many namespaces.
var namespaceForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (s *sorting) definition(d document, root value) {
	metadata, _ := root.field("metadata")
	one := source{document: d, manifest: definitionKind}
	refuse := func(line int, format string, args ...any) {
		s.broken = append(s.broken, d.errorf(line, one.manifest, format, args...))
	}
	name, _ := metadata.field("name")
	if name.kind != text {
		refuse(root.line, "metadata.name is missing or no text")
		return
	}
	one.name, one.manifest = name.scalar, definitionKind+" "+printable(name.scalar)
	if namespace, ok := metadata.field("namespace"); ok {
		if namespace.kind != text || !namespaceForm.MatchString(namespace.scalar) {
			refuse(namespace.line, "metadata.namespace is not the name of a namespace")
			return
		}
		one.namespace, one.manifest = namespace.scalar, definitionKind+" "+namespace.scalar+"/"+printable(name.scalar)
	}
	if annotations, _ := metadata.field("annotations"); annotations.kind == object {
		resource, _ := annotations.field(resourceNameAnnotation)
		one.resourceName = resource.scalar
	}
	s.leftInManifest(d, root, metadata)
	spec, _ := root.field("spec")
	config, ok := spec.field("config")
	switch {
	case !ok || config.kind == text && strings.TrimSpace(config.scalar) == "":
		s.lost(d, root.line, "spec.config", "%s has none: Multus takes the CNI config of that name from the node's "+
			"/etc/cni/net.d; import that file", one.manifest)
		return
	case config.kind != text:
		refuse(config.line, "spec.config is %s; it must be a text that holds JSON", config.kind)
		return
	}
	values, problem := readJSON([]byte(config.scalar), config.line)
	switch {
	case problem != nil:
		if !config.isBlock {
			problem.line = config.line
		}
		refuse(problem.line, "spec.config: %s", problem)
	case len(values) != 1 || values[0].kind != object:
		refuse(config.line, "spec.config must hold one map in JSON")
	default:
		one.config = values[0]
		if !config.isBlock {
			one.config.placeAll(config.line)
		}
		s.sources = append(s.sources, one)
	}
}

// placeAll gives every part of a value the same line.
func (v *value) placeAll(line int) {
	v.line = line
	for i := range v.items {
		v.items[i].placeAll(line)
	}
	for i := range v.fields {
		v.fields[i].line = line
		v.fields[i].value.placeAll(line)
	}
}

// apiServer are the parts of a manifest that the API server writes, and that say nothing about a network.
var apiServer = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "finalizers",
	"ownerReferences", "kubectl.kubernetes.io/last-applied-configuration",
}

// leftInManifest names what stands around the config and has no equal.
func (s *sorting) leftInManifest(d document, root, metadata value) {
	spec, _ := root.field("spec")
	annotations, _ := metadata.field("annotations")
	for _, part := range []struct {
		path  string
		value value
		known []string
		why   string
	}{
		{"", root, []string{"apiVersion", "kind", "metadata", "spec", "status"}, "it is no part of a " + definitionKind},
		{"metadata.", metadata, []string{"name", "namespace", "annotations"}, "a network here has no such thing"},
		{"metadata.annotations.", annotations, []string{resourceNameAnnotation}, "the daemon does not read it"},
		{"spec.", spec, []string{"config"}, "it is no part of a " + definitionKind},
	} {
		for _, f := range part.value.fields {
			if !slices.Contains(part.known, f.key) && !slices.Contains(apiServer, f.key) {
				s.lost(d, f.line, part.path+f.key, "%s", part.why)
			}
		}
	}
}
