package candidate

import (
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/placement"
	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// Node is what a question is asked of.
type Node struct {
	Config *config.Node
	Tree   inventory.Tree
}

// MaxFile, in bytes, bounds what is read; a manifest with a whole annotation is far below it.
const MaxFile = 4 << 20

// maxCandidates bounds an answer; when there are more, it says so.
const maxCandidates = 10_000

// Ask answers a placement question, a manifest of a pod (or of what makes pods, such as a Deployment), or bare requests in
// the form of the annotation; the last are asked for the given namespace. The node is read when the question needs it.
func Ask(text []byte, namespace string, node func() (Node, error)) (placement.Answer, error) {
	if len(text) > MaxFile {
		return placement.Answer{}, fmt.Errorf("the file has %d bytes, more than the %d that are read", len(text), MaxFile)
	}
	var keys map[string]any
	isMap := yaml.Unmarshal(text, &keys) == nil && keys != nil
	if _, question := keys["request"]; isMap && question {
		return askQuestion(text, node)
	}
	pod := Manifest{Asks: true, Networks: string(text), Namespace: namespace}
	if isMap {
		var err error
		if pod, err = ReadManifest(text, namespace); err != nil {
			return bad(err), nil
		}
	}
	if !pod.Asks {
		return bad(errors.New("the manifest has no annotation " + request.NetworksAnnotation + ": such a pod gets no VF")), nil
	}
	at, err := node()
	if err != nil {
		return placement.Answer{}, err
	}
	question, err := questionOf(pod, at.Config)
	if err != nil {
		return bad(err), nil
	}
	tree, err := worldOf(at)
	if err != nil {
		return placement.Answer{}, err
	}
	return placement.AnswerOf(ways(tree, question)), nil
}

// Ways are those in which a node could serve a pod now, or the reasons why there is none. An error is a *placement.BadRequest,
// such as a trait that nobody knows, or is about the node's own inventory.
func Ways(node Node, granted []request.Granted, isolate bool) (placement.Result, error) {
	tree, err := worldOf(node)
	if err != nil {
		return placement.Result{}, err
	}
	return ways(tree, groupsOf(granted, isolate))
}

func ways(tree *placement.Tree, question placement.Question) (placement.Result, error) {
	result, err := placement.Candidates(tree, question, placement.Options{Limit: maxCandidates})
	if err != nil {
		return placement.Result{}, err
	}
	return withoutOverlap(result), nil
}

func askQuestion(text []byte, node func() (Node, error)) (placement.Answer, error) {
	document, err := placement.ParseQuestion(text)
	if err != nil {
		return placement.AnswerOf(placement.Result{}, err), nil
	}
	var tree *placement.Tree
	if !document.Whole {
		at, err := node()
		if err != nil {
			return placement.Answer{}, err
		}
		if tree, err = worldOf(at); err != nil {
			return placement.Answer{}, err
		}
	}
	result, err := document.Ask(tree, placement.Options{Limit: maxCandidates})
	return placement.AnswerOf(result, err), nil
}

// worldOf is the node with all the names that are known on it, whether or not a PF bears them.
func worldOf(node Node) (*placement.Tree, error) {
	tree, err := placement.NewTree(treeOf(node.Tree))
	if err == nil {
		err = tree.Register(append(node.Config.Traits(), inventory.TraitNetdev, inventory.TraitVFIO),
			[]string{inventory.ClassVF, inventory.ClassPF, inventory.ClassEgress, inventory.ClassIngress})
	}
	if err != nil {
		return nil, fmt.Errorf("this node's own inventory: %w", err)
	}
	return tree, nil
}

// bad is the answer to what cannot be asked.
func bad(err error) placement.Answer {
	var known *placement.BadRequest
	if !errors.As(err, &known) {
		err = &placement.BadRequest{Code: "bad-pod", Message: err.Error()}
	}
	return placement.AnswerOf(placement.Result{}, err)
}

// withoutOverlap drops candidates in which one PF is given away whole and in parts: placement does not know that a PF and
// its VFs exclude each other.
func withoutOverlap(result placement.Result) placement.Result {
	var kept []placement.Candidate
	for _, one := range result.Candidates {
		overlaps := false
		for _, amounts := range one.Allocations {
			overlaps = overlaps || amounts[inventory.ClassPF] > 0 && amounts[inventory.ClassVF] > 0
		}
		if !overlaps {
			kept = append(kept, one)
		}
	}
	if len(kept) == 0 && len(result.Candidates) > 0 {
		result.Reasons = append(result.Reasons, "a PF that is given away whole has no VFs to give")
	}
	result.Candidates = kept
	return result
}

// questionOf is a pod's annotation as a placement question.
func questionOf(pod Manifest, node *config.Node) (placement.Question, error) {
	asked, err := request.Parse(pod.Networks, pod.Grouping)
	if err != nil {
		return placement.Question{}, err
	}
	granted, err := request.Authorise(asked, node, pod.Namespace)
	if err != nil {
		return placement.Question{}, err
	}
	return groupsOf(granted, asked.Isolate), nil
}

// groupsOf makes each entry a numbered group, named after its interface or, where the pod names none, by its place in the
// list, from 1.
func groupsOf(granted []request.Granted, isolate bool) placement.Question {
	question := placement.Question{GroupPolicy: placement.PolicyNone}
	if isolate {
		question.GroupPolicy = placement.PolicyIsolate
	}
	for i, one := range granted {
		question.Groups = append(question.Groups, groupOf(one, i+1))
	}
	return question
}
