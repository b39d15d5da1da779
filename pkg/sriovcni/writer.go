package sriovcni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// YAML writes the result as a NodeConfig; what a NodeConfig cannot say stands in comments before it, as long as the file
// does not become larger than the daemon takes.
func (r *Result) YAML() ([]byte, error) {
	content, err := encode(r.Config)
	if err != nil {
		return nil, err
	}
	room := config.MaxSize - len(content)
	out := bytes.NewBufferString("# Written by nri-sriov import. Read what follows, then put the file in /etc/nri-sriov/config.yaml.\n")
	all := r.comments()
	if out.Len()+len(all) > room {
		all = fmt.Sprintf("# The file would become too large with all comments; nri-sriov import -o json writes %d annotations and %d notes.\n",
			len(r.Annotations), len(r.Notes))
	}
	out.WriteString(all)
	out.Write(content)
	return out.Bytes(), nil
}

func (r *Result) comments() string {
	var out strings.Builder
	for _, a := range r.Annotations {
		instead := ""
		if a.InsteadOf != "" {
			instead = ", instead of " + printable(a.InsteadOf)
		}
		fmt.Fprintf(&out, "#\n# A pod gets an interface of %s by its annotation%s:\n%s", a.Network, instead, a.comment())
	}
	if len(r.Notes) > 0 {
		out.WriteString("#\n")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&out, "# %s\n", note)
	}
	return out.String()
}

// comment is the annotation as YAML, without its comment signs.
func (a Annotation) comment() string {
	if !strings.Contains(a.Value, "\n") {
		return fmt.Sprintf("#   %s: %s\n", a.Key, quoted(a.Value))
	}
	text := fmt.Sprintf("#   %s: |\n", a.Key)
	for line := range strings.Lines(a.Value) {
		text += "#     " + line
	}
	return text
}

// encode writes a NodeConfig in the order of its fields, short parts in one line.
func encode(node NodeConfig) ([]byte, error) {
	content, err := json.Marshal(node)
	if err != nil {
		return nil, fmt.Errorf("write the NodeConfig: %w", err)
	}
	values, problem := readJSON(content, 1)
	if problem != nil {
		return nil, fmt.Errorf("write the NodeConfig: %w", problem)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(values[0].node(0)); err != nil {
		return nil, fmt.Errorf("write the NodeConfig: %w", err)
	}
	return out.Bytes(), nil
}

// blockDepth is how deep lists and maps are always written over several lines: the file, its lists, and a network.
const blockDepth = 3

func (v value) node(depth int) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: v.scalar}
	switch v.kind {
	case object:
		node.Kind = yaml.MappingNode
		for _, f := range v.fields {
			node.Content = append(node.Content, textNode(f.key), f.value.node(depth+1))
		}
	case list:
		node.Kind = yaml.SequenceNode
		for _, item := range v.items {
			node.Content = append(node.Content, item.node(depth+1))
		}
	case text:
		return textNode(v.scalar)
	case null:
		node.Value = "null"
	}
	if node.Kind != yaml.ScalarNode && depth >= blockDepth && v.isShort() {
		node.Style = yaml.FlowStyle
	}
	return node
}

// isShort tells whether a list or map fits into a line.
func (v value) isShort() bool {
	const longest = 72
	content, err := v.MarshalJSON()
	return err == nil && len(content) <= longest
}

func textNode(content string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: content}
	if !isPlain(content) {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}

var plainWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./@-]*$`)

// isPlain tells whether a text needs no quotes, whichever version of YAML is read.
func isPlain(content string) bool {
	words := []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
	return plainWord.MatchString(content) && !slices.Contains(words, strings.ToLower(content))
}
