package configs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// celEnv is CEL as the API server has it, as far as the policies use it: https://kubernetes.io/docs/reference/using-api/cel/
func celEnv(t *testing.T) *cel.Env {
	t.Helper()
	env, err := cel.NewEnv(
		cel.Variable("object", cel.DynType), cel.Variable("request", cel.DynType), cel.Variable("params", cel.DynType),
		cel.Variable("variables", cel.DynType),
		ext.Strings(ext.StringsVersion(2)), cel.OptionalTypes(), cel.HomogeneousAggregateLiterals(), cel.DefaultUTCTimeZone(true),
		cel.Function("findAll", cel.MemberOverload("string_find_all_string", []*cel.Type{cel.StringType, cel.StringType},
			cel.ListType(cel.StringType), cel.BinaryBinding(func(text, pattern ref.Val) ref.Val {
				form, err := regexp.Compile(string(pattern.(types.String)))
				if err != nil {
					return types.NewErr("%s", err)
				}
				return types.DefaultTypeAdapter.NativeToValue(form.FindAllString(string(text.(types.String)), -1))
			}))),
	)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func eval(t *testing.T, env *cel.Env, expression string, input map[string]any) ref.Val {
	t.Helper()
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatalf("%s\n%v", expression, issues.Err())
	}
	program, err := env.Program(ast, cel.CostLimit(10_000_000))
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
func decide(t *testing.T, policy admissionv1.ValidatingAdmissionPolicy, input map[string]any) string {
	t.Helper()
	env := celEnv(t)
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

// TestAdmission: what is malformed or not allowed is refused with the reason, what the node would take is not.
func TestAdmission(t *testing.T) {
	policy := strictly[admissionv1.ValidatingAdmissionPolicy](t, "kubernetes/admission.yaml", "ValidatingAdmissionPolicy")
	users := map[string]any{"data": map[string]any{"public": "*", "storage": "prod team-*", "fast.path": "team-a"}}
	for name, c := range map[string]struct {
		namespace, networks, policy string
		params                      any
		refusal                     string
	}{
		"short":                  {"prod", "public@eth1, storage", "", users, ""},
		"short by pattern":       {"team-b", "storage", "", users, ""},
		"short, not allowed":     {"dev", "public,storage", "", users, "namespace dev may not use storage"},
		"pattern is whole":       {"xprod", "storage", "", users, "namespace xprod may not use storage"},
		"unknown":                {"prod", "nothing", "", users, "namespace prod may not use nothing"},
		"dot is no pattern":      {"team-a", "fast.path", "", users, ""},
		"no params":              {"dev", "nothing", "", nil, ""},
		"yaml":                   {"prod", "- network: public\n  name: net1\n- {count: 2, network: storage}\n", "isolate", users, ""},
		"yaml, not allowed":      {"dev", "- network: public\n- name: x\n  network: storage # mine\n", "", users, "namespace dev may not use storage"},
		"yaml, quoted":           {"dev", "- \"network\": 'storage'\n", "", users, "namespace dev may not use storage"},
		"comments":               {"dev", "# network: storage\n- network: public # network: storage\n", "", users, ""},
		"json":                   {"prod", `[{"network":"public"},{"network":"storage","mac":"02:00:00:00:00:11"}]`, "", users, ""},
		"json, not allowed":      {"dev", `[{"name":"net1","network":"storage"}]`, "", users, "namespace dev may not use storage"},
		"empty":                  {"prod", " \n", "", users, "is empty"},
		"too long":               {"prod", strings.Repeat("x", 16385), "", users, "more than 16 KiB"},
		"bytes count":            {"prod", strings.Repeat("ä", 8193), "", users, "more than 16 KiB"},
		"policy":                 {"prod", "public", "both", users, "group-policy"},
		"short, bad interface":   {"prod", "public@a-name-that-is-too-long", "", users, "malformed"},
		"short, bad name":        {"prod", "Public", "", users, "malformed"},
		"short, nothing between": {"prod", "public,,storage", "", users, "malformed"},
		"list without network":   {"prod", "- name: net1\n", "", users, "each entry of the list says network"},
		"bare list":              {"prod", "- public\n", "", users, "each entry of the list says network"},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]any{"sriov.nri.io/networks": c.networks}
			if c.policy != "" {
				annotations["sriov.nri.io/group-policy"] = c.policy
			}
			said := decide(t, policy, map[string]any{
				"object": map[string]any{"metadata": map[string]any{"annotations": annotations}}, "params": c.params,
				"request": map[string]any{"namespace": c.namespace},
			})
			if c.refusal == "" && said != "" || !strings.Contains(said, c.refusal) {
				t.Errorf("says %q, not %q", said, c.refusal)
			}
		})
	}
	for _, metadata := range []map[string]any{{}, {"annotations": map[string]any{"other": "x"}}} {
		if said := decide(t, policy, map[string]any{"object": map[string]any{"metadata": metadata}, "request": map[string]any{"namespace": "dev"}}); said != "" {
			t.Errorf("a pod that asks for nothing is told %q", said)
		}
	}
}

// TestNodeGuard: a daemon changes its own node and the pods of its own node; others are not its business.
func TestNodeGuard(t *testing.T) {
	policy := strictly[admissionv1.ValidatingAdmissionPolicy](t, "kubernetes/node-guard.yaml", "ValidatingAdmissionPolicy")
	const daemon = "system:serviceaccount:nri-sriov:nri-sriov"
	for name, c := range map[string]struct {
		user, claim, resource string
		object                map[string]any
		allowed               bool
	}{
		"own node":   {daemon, "n1", "nodes", map[string]any{"metadata": map[string]any{"name": "n1"}}, true},
		"other node": {daemon, "n1", "nodes", map[string]any{"metadata": map[string]any{"name": "n2"}}, false},
		"own pod":    {daemon, "n1", "pods", map[string]any{"spec": map[string]any{"nodeName": "n1"}}, true},
		"other pod":  {daemon, "n1", "pods", map[string]any{"spec": map[string]any{"nodeName": "n2"}}, false},
		"unbound":    {daemon, "n1", "pods", map[string]any{"spec": map[string]any{}}, false},
		"no claim":   {daemon, "", "nodes", map[string]any{"metadata": map[string]any{"name": ""}}, false},
		"an admin":   {"admin", "", "nodes", map[string]any{"metadata": map[string]any{"name": "n2"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			extra := map[string]any{}
			if c.claim != "" {
				extra["authentication.kubernetes.io/node-name"] = []string{c.claim}
			}
			said := decide(t, policy, map[string]any{"object": c.object, "request": map[string]any{
				"resource": map[string]any{"resource": c.resource}, "userInfo": map[string]any{"username": c.user, "extra": extra},
			}})
			if (said == "") != c.allowed {
				t.Errorf("says %q", said)
			}
		})
	}
}
