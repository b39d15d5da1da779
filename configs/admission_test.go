package configs

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/request"
)

// celEnv is CEL as the API server has it, as far as the policies use it: https://kubernetes.io/docs/reference/using-api/cel/
var celEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType), cel.Variable("request", cel.DynType), cel.Variable("params", cel.DynType),
		cel.Variable("variables", cel.DynType),
		ext.Strings(ext.StringsVersion(2)), cel.OptionalTypes(), cel.HomogeneousAggregateLiterals(), cel.DefaultUTCTimeZone(true),
		cel.Function("find", cel.MemberOverload("string_find_string", []*cel.Type{cel.StringType, cel.StringType},
			cel.StringType, cel.BinaryBinding(func(text, pattern ref.Val) ref.Val {
				form, err := regexp.Compile(string(pattern.(types.String)))
				if err != nil {
					return types.NewErr("%s", err)
				}
				return types.String(form.FindString(string(text.(types.String))))
			}))),
		cel.Function("findAll", cel.MemberOverload("string_find_all_string", []*cel.Type{cel.StringType, cel.StringType},
			cel.ListType(cel.StringType), cel.BinaryBinding(func(text, pattern ref.Val) ref.Val {
				form, err := regexp.Compile(string(pattern.(types.String)))
				if err != nil {
					return types.NewErr("%s", err)
				}
				return types.DefaultTypeAdapter.NativeToValue(form.FindAllString(string(text.(types.String)), -1))
			}))),
	)
})

// callCost is what the API server lets one expression cost (PerCallLimit of k8s.io/apiserver/pkg/apis/cel).
const callCost = 1_000_000

// tester is what rapid's tests and others have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func eval(t tester, env *cel.Env, expression string, input map[string]any) ref.Val {
	t.Helper()
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatalf("%s\n%v", expression, issues.Err())
	}
	program, err := env.Program(ast, cel.CostLimit(callCost))
	if err != nil {
		t.Fatal(err)
	}
	value, _, err := program.Eval(input)
	if err != nil {
		t.Fatalf("%s\n%v", expression, err)
	}
	return value
}

// decide is what a policy says to a request: "" when it does not apply or allows it, else the message.
func decide(t tester, policy admissionv1.ValidatingAdmissionPolicy, input map[string]any) string {
	t.Helper()
	env, err := celEnv()
	if err != nil {
		t.Fatal(err)
	}
	for _, condition := range policy.Spec.MatchConditions {
		if eval(t, env, condition.Expression, input) != types.True {
			return ""
		}
	}
	variables := map[string]any{}
	input["variables"] = variables
	for _, one := range policy.Spec.Variables {
		value := eval(t, env, one.Expression, input)
		if list, ok := value.(traits.Lister); ok {
			value = list
		}
		variables[one.Name] = value
	}
	for _, one := range policy.Spec.Validations {
		if eval(t, env, one.Expression, input) == types.True {
			continue
		}
		if one.MessageExpression != "" {
			return fmt.Sprint(eval(t, env, one.MessageExpression, input).Value())
		}
		return one.Message
	}
	return ""
}

// policyNamed is a policy of a file.
func policyNamed(t *testing.T, file, name string) admissionv1.ValidatingAdmissionPolicy {
	t.Helper()
	for _, text := range documents(t, file) {
		var policy admissionv1.ValidatingAdmissionPolicy
		if err := yaml.UnmarshalStrict(text, &policy); err == nil && policy.Kind == "ValidatingAdmissionPolicy" && policy.Name == name {
			return policy
		}
	}
	t.Fatalf("%s has no policy %s", file, name)
	panic("unreachable")
}

// asks is the creation of a pod with these annotations.
func asks(namespace string, annotations map[string]any, params any) map[string]any {
	return map[string]any{
		"object":  map[string]any{"metadata": map[string]any{"annotations": annotations}, "spec": map[string]any{"containers": []any{map[string]any{}}}},
		"params":  params,
		"request": map[string]any{"namespace": namespace},
	}
}

// TestAnnotationPolicy: what is malformed is refused with the reason, and what the node would take is not, in whatever form.
func TestAnnotationPolicy(t *testing.T) {
	policy := policyNamed(t, "kubernetes/admission.yaml", "nri-sriov-annotation")
	if policy.Spec.ParamKind != nil {
		t.Error("the API server leaves a policy out whose ConfigMap is not there")
	}
	long := "public" + strings.Repeat(" ", request.MaxSize)
	for text, refusal := range map[string]string{
		"public": "", "public@eth1, storage": "", " public@eth1,\n  storage ,public\n": "", `"public@eth1, storage"`: "", "'100'": "",
		"--- public@eth1": "", "public # the usual": "", "public\t# the usual": "", "# the usual: both\npublic,\nstorage\n": "",
		"null, true@t, 5.0@f, no": "", "- public@eth1\n- storage\n": "", `["public@eth1", "storage"]`: "", "[public, {network: storage, name: a}]": "",
		"- network: public\n  name: net1\n- {count: 2, network: storage}\n": "", "- \"network\": 'storage'\n": "", "- network : public\n": "",
		`[{"network":"public"},{"network":"storage","mac":"02:00:00:00:00:11","ips":["fd00:ab::1/64"]}]`: "",
		"- network: public\n  mac: aa:bb:cc:dd:ee:ff\n  ips: ['fe:ed::1/64', \"ab:cd::2/64\"]\n":         "", "- network: >-\n    public\n": "",
		"[\n\t{\n\t\t\"network\": \"public\"\n\t}\n]": "", "- network: public # vlan: 5\n# pf: none\n": "", "- network: a-b.c\n  containers:\n  - app\n  required: [CUSTOM_A]\n": "",
		"": "is empty", " \n": "is empty", "# nothing\n": "is empty", long: "more than 16 KiB", strings.Repeat("ä", request.MaxSize/2+1): "more than 16 KiB",
		"public@a-name-that-is-too-long": "malformed", "Public": "malformed", "public,,storage": "malformed", "public storage": "malformed", "public@": "malformed",
		"- network: public\n  vlan: 100\n": "unknown key vlan", `[{"network":"public","trust":true}]`: "unknown key trust", "- {network: public, 'pf' : enp1s0}": "unknown key pf",
		"- network: public\n  spoofCheck:\n    false\n": "unknown key spoofCheck", "pciAddress: x": "unknown key pciAddress",
	} {
		said := decide(t, policy, asks("prod", map[string]any{"sriov.nri.io/networks": text}, nil))
		if refusal == "" && said != "" || !strings.Contains(said, refusal) {
			t.Errorf("%.60q: says %q, not %q", text, said, refusal)
		}
		_, err := request.Parse(text, "")
		if (err == nil) != (refusal == "") {
			t.Errorf("%.60q: the node says %v", text, err)
		}
	}
	for value, refused := range map[string]bool{"": false, "none": false, "isolate": false, "both": true} {
		annotations := map[string]any{"sriov.nri.io/networks": "public", "sriov.nri.io/group-policy": value}
		if said := decide(t, policy, asks("prod", annotations, nil)); strings.Contains(said, "group-policy") != refused {
			t.Errorf("group-policy %q: says %q", value, said)
		}
	}
}

// TestAnnotationPolicyRefusesNothingGood: whatever the node takes passes, in forms that nobody thought of.
func TestAnnotationPolicyRefusesNothingGood(t *testing.T) {
	policy := policyNamed(t, "kubernetes/admission.yaml", "nri-sriov-annotation")
	word := rapid.SampledFrom([]string{
		"public", "a-b", "x.y", "net1", "5", "data", "[", "]", "{", "}", ",", ", ", ": ", ":", " : ", "- ", "\n", "\n  ", "\n- ", "  ", "\"", "'", "@", " # c: d\n", "\t# e\n",
		"network", "\"network\"", "network: ", "name: ", "count: ", "2", "required: ", "CUSTOM_A", "ips: ", "fd00::1/64", "192.0.2.1/24", "mac: ", "02:00:00:00:00:11", "containers: ",
		"---\n", "...", ">-\n    ", "&a ", "*a", "? ",
	})
	good := 0
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(word, 1, 12).Draw(t, "words"), "")
		if _, err := request.Parse(text, ""); err != nil {
			return
		}
		good++
		if said := decide(t, policy, asks("prod", map[string]any{"sriov.nri.io/networks": text}, nil)); said != "" {
			t.Fatalf("%q: says %q", text, said)
		}
	})
	t.Logf("%d texts that the node takes", good)
}

// TestNetworksPolicy: a network that the namespace may not use is refused by its name.
func TestNetworksPolicy(t *testing.T) {
	policy := policyNamed(t, "kubernetes/admission.yaml", "nri-sriov-networks")
	users := map[string]any{"data": map[string]any{"public": "*", "storage": "prod team-*", "fast.path": "team-a"}}
	for name, c := range map[string]struct {
		namespace, networks string
		params              any
		refusal             string
	}{
		"short":                {"prod", "public@eth1, storage", users, ""},
		"short by pattern":     {"team-b", "storage", users, ""},
		"short, not allowed":   {"dev", "public,storage", users, "namespace dev may not use storage"},
		"short over lines":     {"dev", "public, # all\n storage # few\n", users, "namespace dev may not use storage"},
		"pattern is whole":     {"xprod", "storage", users, "namespace xprod may not use storage"},
		"unknown":              {"prod", "nothing", users, "namespace prod may not use nothing"},
		"dot is no pattern":    {"team-a", "fast.path", users, ""},
		"no networks":          {"dev", "nothing", map[string]any{}, "namespace dev may not use nothing"},
		"yaml":                 {"prod", "- network: public\n  name: net1\n- {count: 2, network: storage}\n", users, ""},
		"yaml, not allowed":    {"dev", "- network: public\n- name: x\n  network: storage # mine\n", users, "namespace dev may not use storage"},
		"yaml, quoted":         {"dev", "- \"network\": 'storage'\n", users, "namespace dev may not use storage"},
		"two":                  {"dev", "- network: storage\n- network: fast.path\n", users, "namespace dev may not use storage, fast.path"},
		"comments":             {"dev", "# network: storage\n- network: public # network: storage\n- network: public\t# network: storage\n", users, ""},
		"texts":                {"dev", "- public@eth1\n- storage@eth2\n- 'fast.path'\n", users, "namespace dev may not use storage, fast.path"},
		"texts in brackets":    {"dev", "[public@eth1, \"storage@eth2\",\n 'fast.path',]", users, "namespace dev may not use storage, fast.path"},
		"texts and maps":       {"dev", "- {network: public, count: 2}\n- storage\n", users, "namespace dev may not use storage"},
		"containers are none":  {"dev", "- network: public\n  containers:\n  - storage\n  - other\n", users, ""},
		"json":                 {"prod", `[{"network":"public"},{"network":"storage","mac":"02:00:00:00:00:11"}]`, users, ""},
		"json, not allowed":    {"dev", `[{"name":"net1","network":"storage"}]`, users, "namespace dev may not use storage"},
		"what cannot be read":  {"dev", "- network: >-\n    public\n- network: \"pub\\x6cic\"\n", users, ""},
		"too long, not judged": {"dev", "nothing" + strings.Repeat(" ", request.MaxSize), users, ""},
	} {
		t.Run(name, func(t *testing.T) {
			said := decide(t, policy, asks(c.namespace, map[string]any{"sriov.nri.io/networks": c.networks}, c.params))
			if c.refusal == "" && said != "" || !strings.Contains(said, c.refusal) {
				t.Errorf("says %q, not %q", said, c.refusal)
			}
		})
	}
}

// limited is a container with resources.
func limited(resources ...string) map[string]any {
	limits := map[string]any{}
	for _, one := range resources {
		limits[one] = "1"
	}
	return map[string]any{"resources": map[string]any{"limits": limits}}
}

// TestNetworksPolicyOfResources: a resource names its network, in whatever container, with and without an annotation.
func TestNetworksPolicyOfResources(t *testing.T) {
	policy := policyNamed(t, "kubernetes/admission.yaml", "nri-sriov-networks")
	users := map[string]any{"data": map[string]any{"public": "*", "storage": "prod"}}
	for name, c := range map[string]struct {
		spec        map[string]any
		annotations map[string]any
		refusal     string
	}{
		"allowed": {map[string]any{"containers": []any{limited("sriov.nri.io/public", "cpu")}}, nil, ""},
		"others":  {map[string]any{"containers": []any{limited("cpu", "example.com/storage")}}, nil, ""},
		"barred":  {map[string]any{"containers": []any{map[string]any{}, limited("sriov.nri.io/storage", "sriov.nri.io/public")}}, nil, "namespace dev may not use storage"},
		"at the start": {map[string]any{"containers": []any{map[string]any{}}, "initContainers": []any{limited("sriov.nri.io/storage")}}, nil,
			"namespace dev may not use storage"},
		"both": {map[string]any{"containers": []any{limited("sriov.nri.io/storage")}}, map[string]any{"sriov.nri.io/networks": "nosuch"},
			"namespace dev may not use nosuch, storage"},
	} {
		metadata := map[string]any{}
		if c.annotations != nil {
			metadata["annotations"] = c.annotations
		}
		said := decide(t, policy, map[string]any{
			"object": map[string]any{"metadata": metadata, "spec": c.spec}, "params": users, "request": map[string]any{"namespace": "dev"},
		})
		if c.refusal == "" && said != "" || !strings.Contains(said, c.refusal) {
			t.Errorf("%s: says %q, not %q", name, said, c.refusal)
		}
	}
}

// TestWhoAsksForNothing: a pod without the annotation is not looked at.
func TestWhoAsksForNothing(t *testing.T) {
	for _, name := range []string{"nri-sriov-annotation", "nri-sriov-networks"} {
		policy := policyNamed(t, "kubernetes/admission.yaml", name)
		for _, metadata := range []map[string]any{{}, {"annotations": map[string]any{"other": "x"}}} {
			object := map[string]any{"metadata": metadata, "spec": map[string]any{"containers": []any{limited("cpu", "example.com/vf"), map[string]any{}}}}
			if said := decide(t, policy, map[string]any{"object": object, "request": map[string]any{"namespace": "dev"}}); said != "" {
				t.Errorf("%s: a pod that asks for nothing is told %q", name, said)
			}
		}
	}
}

// TestAdmissionOfTheLargest: the largest annotations stay below what the API server lets a policy cost.
func TestAdmissionOfTheLargest(t *testing.T) {
	const entry = "- {network: public, name: data, required: [CUSTOM_A]} # mine\n"
	for _, text := range []string{strings.Repeat("\n", request.MaxSize-6) + "public", strings.Repeat(entry, request.MaxSize/len(entry)), strings.Repeat("a,", request.MaxSize/2-1) + "a"} {
		for _, name := range []string{"nri-sriov-annotation", "nri-sriov-networks"} {
			decide(t, policyNamed(t, "kubernetes/admission.yaml", name),
				asks("prod", map[string]any{"sriov.nri.io/networks": text}, map[string]any{"data": map[string]any{"public": "team-* prod"}}))
		}
	}
}

// TestNodeGuard: a daemon changes the taints of its own node and annotations of the pods of its own node; others are not its
// business.
func TestNodeGuard(t *testing.T) {
	policies := map[string]admissionv1.ValidatingAdmissionPolicy{
		"nodes": policyNamed(t, "kubernetes/node-guard.yaml", "nri-sriov-node-guard"),
		"pods":  policyNamed(t, "kubernetes/node-guard.yaml", "nri-sriov-pod-guard"),
	}
	const daemon = "system:serviceaccount:nri-sriov:nri-sriov"
	type object = map[string]any
	node := func(name string, metadata, spec object) object {
		metadata["name"] = name
		return object{"metadata": metadata, "spec": spec}
	}
	pod := func(node string, metadata, status object) object {
		spec := object{}
		if node != "" {
			spec["nodeName"] = node
		}
		return object{"metadata": metadata, "spec": spec, "status": status}
	}
	plain, runs := object{}, object{"phase": "Running"}
	for name, c := range map[string]struct {
		user, claim, resource string
		old, new              object
		allowed               bool
	}{
		"own node":        {daemon, "n1", "nodes", node("n1", object{}, plain), node("n1", object{}, object{"taints": []any{"t"}}), true},
		"other node":      {daemon, "n1", "nodes", node("n2", object{}, plain), node("n2", object{}, plain), false},
		"a node's label":  {daemon, "n1", "nodes", node("n1", object{}, plain), node("n1", object{"labels": object{"a": "b"}}, plain), false},
		"its annotation":  {daemon, "n1", "nodes", node("n1", object{"annotations": object{"a": "b"}}, plain), node("n1", object{}, plain), false},
		"its scheduling":  {daemon, "n1", "nodes", node("n1", object{}, plain), node("n1", object{}, object{"unschedulable": true}), false},
		"own pod":         {daemon, "n1", "pods", pod("n1", object{}, runs), pod("n1", object{"annotations": object{"a": "b"}}, runs), true},
		"other pod":       {daemon, "n1", "pods", pod("n2", object{}, runs), pod("n2", object{}, runs), false},
		"unbound":         {daemon, "n1", "pods", pod("", object{}, runs), pod("", object{}, runs), false},
		"a pod's status":  {daemon, "n1", "pods", pod("n1", object{}, runs), pod("n1", object{}, object{"phase": "Failed"}), false},
		"a pod's label":   {daemon, "n1", "pods", pod("n1", object{}, runs), pod("n1", object{"labels": object{"a": "b"}}, runs), false},
		"no claim":        {daemon, "", "nodes", node("", object{}, plain), node("", object{}, plain), false},
		"an admin, label": {"admin", "", "nodes", node("n2", object{}, plain), node("n2", object{"labels": object{"a": "b"}}, plain), true},
	} {
		t.Run(name, func(t *testing.T) {
			extra := object{}
			if c.claim != "" {
				extra["authentication.kubernetes.io/node-name"] = []string{c.claim}
			}
			said := decide(t, policies[c.resource], object{"object": c.new, "oldObject": c.old, "request": object{
				"userInfo": object{"username": c.user, "extra": extra},
			}})
			if (said == "") != c.allowed {
				t.Errorf("says %q", said)
			}
		})
	}
}
