package sriovcni

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/config"
)

// names gives every network a name that is valid, and unique also as a part of an environment variable's name.
type names map[string]bool

var notInName = regexp.MustCompile(`[^a-z0-9.-]+`)

const longestName = 63

// valid makes a name of any text; empty when nothing is left of it.
func valid(name string) string {
	name = notInName.ReplaceAllString(strings.ToLower(name), "-")
	return strings.Trim(name[:min(len(name), longestName)], "-.")
}

// unique makes the name of one network from what its config calls it.
func (n names) unique(wanted, namespace string) string {
	base := valid(wanted)
	if base == "" {
		base = pluginType
	}
	if n.take(base) {
		return base
	}
	if namespace != "" {
		base = withEnd(base, "-"+namespace)
		if n.take(base) {
			return base
		}
	}
	for i := 2; ; i++ {
		if name := withEnd(base, fmt.Sprintf("-%d", i)); n.take(name) {
			return name
		}
	}
}

func withEnd(base, end string) string {
	end = end[:min(len(end), longestName/2)]
	return strings.Trim(base[:min(len(base), longestName-len(end))]+end, "-.")
}

func (n names) take(name string) bool {
	env := (&config.Network{Name: name}).EnvName()
	if n[env] {
		return false
	}
	n[env] = true
	return true
}

// providers are the PFs that configs named. Each has a trait of its own, which binds networks to it.
type providers struct {
	list   []Provider
	traits map[string]bool
}

var notInTrait = regexp.MustCompile(`[^A-Z0-9_]`)

// trait is the trait of a PF, which becomes a provider when it is new.
func (p *providers) trait(pf string) string {
	for _, one := range p.list {
		if one.PF == pf {
			return one.Traits[0]
		}
	}
	base := "CUSTOM_PF_" + notInTrait.ReplaceAllString(strings.ToUpper(pf), "_")
	trait := base
	for i := 2; p.traits[trait]; i++ {
		trait = fmt.Sprintf("%s_%d", base, i)
	}
	if p.traits == nil {
		p.traits = map[string]bool{}
	}
	p.traits[trait] = true
	p.list = append(p.list, Provider{PF: pf, Traits: []string{trait}})
	return trait
}
