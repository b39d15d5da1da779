package sriovcni

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// readYAML reads a text of one document whose first line is line. ok is false when there is nothing but comments.
func readYAML(content []byte, line int) (v value, ok bool, wrong *problem) {
	defer func() {
		// The library panics on some texts that it was not made for.
		if cause := recover(); cause != nil {
			v, ok, wrong = value{}, false, &problem{line, fmt.Sprintf("not YAML: %.200v", cause)}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return value{}, false, nil
	case err != nil:
		return value{}, false, notYAML(err, content, line)
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return value{}, false, notYAML(err, content, line)
	default:
		return value{}, false, &problem{line - 1 + second.Line, "a document begins here without --- before it"}
	}
	root := first.Content[0]
	if root.Kind == yaml.ScalarNode && root.Value == "" && root.Style == 0 && root.Anchor == "" {
		return value{}, false, nil
	}
	v, wrong = yamlWalk{before: line - 1}.value(root, 1)
	return v, wrong == nil, wrong
}

// notYAML words an error of the library. strictyaml reads with the same library, and knows how it counts lines.
func notYAML(err error, content []byte, line int) *problem {
	var found strictyaml.Errors
	if _, again := strictyaml.Parse(content); errors.As(again, &found) && found[0].Path == "" {
		return &problem{line - 1 + max(found[0].Line, 1), found[0].Message}
	}
	return &problem{line, fmt.Sprintf("not YAML: %.200v", err)}
}

// yamlWalk takes a tree over; before are the lines of the file before the tree's text.
type yamlWalk struct{ before int }

func (w yamlWalk) value(node *yaml.Node, depth int) (value, *problem) {
	v := value{line: w.before + node.Line}
	refuse := func(why string) (value, *problem) { return value{}, &problem{v.line, why} }
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		return refuse("anchors and aliases are not accepted; write the value out")
	case node.Style&yaml.TaggedStyle != 0:
		return refuse("tags are not accepted")
	case depth > maxDepth:
		return refuse(fmt.Sprintf("lists and maps lie more than %d deep in each other", maxDepth))
	case node.Kind == yaml.MappingNode:
		return w.fields(v, node, depth)
	case node.Kind == yaml.SequenceNode:
		v.kind = list
		for _, item := range node.Content {
			inner, wrong := w.value(item, depth+1)
			if wrong != nil {
				return value{}, wrong
			}
			v.items = append(v.items, inner)
		}
		return v, nil
	}
	return scalar(v, node), nil
}

func (w yamlWalk) fields(v value, node *yaml.Node, depth int) (value, *problem) {
	v.kind = object
	first := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return value{}, &problem{w.before + key.Line, "a key must be a plain text"}
		}
		f := field{key: key.Value, line: w.before + key.Line}
		if wrong := twice(first, f); wrong != nil {
			return value{}, wrong
		}
		inner, wrong := w.value(node.Content[i+1], depth+1)
		if wrong != nil {
			return value{}, wrong
		}
		f.value = inner
		v.fields = append(v.fields, f)
	}
	return v, nil
}

func scalar(v value, node *yaml.Node) value {
	v.kind, v.scalar = text, node.Value
	if node.Style&yaml.LiteralStyle != 0 {
		v.isBlock = true
		v.line++ // the text begins after the line with the |
	}
	switch node.ShortTag() {
	case "!!null":
		v.kind = null
	case "!!bool":
		v.kind = boolean
	case "!!int", "!!float":
		v.kind = number
	}
	return v
}
