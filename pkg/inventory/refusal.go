package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoFreeVF says that a claim cannot be served, neither now nor by waiting for releases that are under way.
var ErrNoFreeVF = errors.New("no VF free")

// ErrNotToBeHad says that the kubelet gave a pod functions that it cannot have.
var ErrNotToBeHad = errors.New("the pod cannot have what the kubelet gave it")

// ErrUnknownTrait says that a request names a trait that nobody knows, which is no lack of VFs.
var ErrUnknownTrait = errors.New("unknown trait")

// unknown names a trait of a request that nobody knows, or nothing. A misspelt trait must not look like a lack of VFs.
func (p *Pool) unknown(request Request) error {
	for _, group := range request.Groups {
		for _, trait := range slices.Concat(append([][]string{group.Required, group.Forbidden}, group.AnyOf...)...) {
			if strings.HasPrefix(trait, "CUSTOM_") && !p.known[trait] {
				return fmt.Errorf("network %q: %w: neither a PF of this node nor its config has the trait %s", group.Name, ErrUnknownTrait, trait)
			}
		}
	}
	return nil
}

// refusal says per group what each PF lacks. When every group could be served alone, the groups together ask for too
// much, and that is said instead.
func (p *Pool) refusal(request Request) error {
	for _, group := range request.Groups {
		alone := p.search(Request{Sandbox: request.Sandbox, Groups: []Group{group}}, false)
		if group.From != nil && !alone.run() {
			return fmt.Errorf("network %q: %w for %s: %s", group.Name, ErrNotToBeHad, group.Resource, p.refusalOfGiven(group))
		}
		if !alone.run() {
			return fmt.Errorf("network %q: %w: %s", group.Name, ErrNoFreeVF, p.reasons(group))
		}
	}
	what := "each entry alone could be served, all together could not"
	if request.Isolate {
		what += " on different PFs (group-policy isolate)"
	}
	return fmt.Errorf("%w: %s: %s", ErrNoFreeVF, what, p.reasons(Group{Count: 1}))
}

func (p *Pool) reasons(group Group) string {
	if len(p.providers) == 0 {
		return "this node has no PF with VFs"
	}
	var reasons []string
	for _, provider := range p.providers {
		reason := provider.suits(group)
		if reason == "" {
			reason = provider.shortage(group)
			if tied := p.tied(provider, group); tied > 0 {
				reason += fmt.Sprintf(", %d tied to VFs in use by their IOMMU group", tied)
			}
		}
		reasons = append(reasons, provider.PF.Name()+" "+reason)
	}
	return strings.Join(reasons, "; ")
}

// tied counts the free VFs of a provider that only their IOMMU group keeps from being used.
func (p *Pool) tied(provider *Provider, group Group) int {
	if len(p.siblings) == 0 {
		return 0
	}
	count := 0
	for one := provider.stock.first; one != nil; one = one.after {
		if !p.untied(one, "", group.Userspace) {
			count++
		}
	}
	return count
}
