package placement

import (
	"maps"
	"slices"
)

// maxProviders bounds a tree, and with it what a question can cost.
const maxProviders = 1024

// Provider is a resource provider as it is told to a Tree and told by it.
type Provider struct {
	// Name is unique. Parent is the name of the provider above, empty for a root.
	Name, Parent string
	// Traits are the provider's own: they are inherited neither downwards nor upwards.
	Traits []string
	// Inventories are by resource class; none makes a provider that only groups others. Units of zero are errors and not
	// defaults: NewInventory has the defaults.
	Inventories map[string]Inventory
	// Aggregates are kept and have no effect.
	Aggregates []string
}

// Tree is the providers of one tree or of several, and the names of traits and classes that are known there.
type Tree struct {
	nodes  []*node
	byName map[string]int
	// roots are in order; members are the nodes of each root's tree, in order.
	roots   []int
	members map[int][]int
	// traits and classes are those beside the standard ones. What was known once stays known.
	traits, classes map[string]bool
}

// node is a provider in its tree. Others are known by their index.
type node struct {
	name       string
	parent     int // -1 for a root
	root       int
	depth      int
	traits     map[string]bool
	stock      map[string]*Inventory
	aggregates []string
	generation int
	children   []int
	// itself is the provider alone as a group's mapping.
	itself []string
}

// NewTree copies providers, which may come in any order; that order is the one in which they are tried. A *BadRequest
// says what is wrong with them.
func NewTree(providers []Provider) (*Tree, error) {
	if len(providers) > maxProviders {
		return nil, bad(TooLarge, "there are %d providers; %d are the most", len(providers), maxProviders)
	}
	t := &Tree{byName: map[string]int{}, members: map[int][]int{}, traits: map[string]bool{}, classes: map[string]bool{}}
	for i, p := range providers {
		if err := t.add(p); err != nil {
			return nil, err
		}
		t.byName[p.Name] = i
	}
	for i, p := range providers {
		if p.Parent == "" {
			t.roots = append(t.roots, i)
			continue
		}
		parent, found := t.byName[p.Parent]
		if !found {
			return nil, bad(BadProvider, "provider %s has the parent %s, which is not there", quote(p.Name), quote(p.Parent))
		}
		t.nodes[i].parent = parent
		t.nodes[parent].children = append(t.nodes[parent].children, i)
	}
	return t, t.plant()
}

// add takes one provider over, without its place in the tree.
func (t *Tree) add(p Provider) error {
	switch _, twice := t.byName[p.Name]; {
	case p.Name == "" || len(p.Name) > 200:
		return bad(BadProvider, "a provider's name has 1 to 200 bytes, and one has %d", len(p.Name))
	case twice:
		return bad(BadProvider, "provider %s is there twice", quote(p.Name))
	}
	n := &node{name: p.Name, parent: -1, stock: map[string]*Inventory{}, aggregates: slices.Clone(p.Aggregates),
		itself: []string{p.Name}}
	if err := t.setTraits(n, p.Traits); err != nil {
		return err
	}
	for _, class := range slices.Sorted(maps.Keys(p.Inventories)) {
		inventory := p.Inventories[class]
		if err := t.checkInventory(p.Name, class, inventory); err != nil {
			return err
		}
		n.stock[class], t.classes[class] = &inventory, true
	}
	t.nodes = append(t.nodes, n)
	return nil
}

func (t *Tree) setTraits(n *node, traits []string) error {
	for _, trait := range traits {
		if !plainName.MatchString(trait) {
			return bad(BadName, "provider %s: %s cannot be a trait: A-Z, 0-9 and _ only, 255 at most", quote(n.name), quote(trait))
		}
	}
	n.traits = setOf(traits...)
	maps.Copy(t.traits, n.traits)
	return nil
}

func (t *Tree) checkInventory(provider, class string, inventory Inventory) error {
	if !plainName.MatchString(class) {
		return bad(BadName, "provider %s: %s cannot be a resource class: A-Z, 0-9 and _ only, 255 at most", quote(provider), quote(class))
	}
	if fault := inventory.fault(); fault != "" {
		return bad(BadProvider, "provider %s: %s: %s", quote(provider), class, fault)
	}
	return nil
}

// plant notes each node's root and depth, and refuses circles.
func (t *Tree) plant() error {
	planted := 0
	for _, root := range t.roots {
		for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
			n := t.nodes[queue[0]]
			n.root, n.depth = root, 0
			if n.parent >= 0 {
				n.depth = t.nodes[n.parent].depth + 1
			}
			t.members[root] = append(t.members[root], queue[0])
			queue = append(queue, n.children...)
			planted++
		}
		slices.Sort(t.members[root])
	}
	if planted < len(t.nodes) {
		return bad(BadProvider, "there are providers whose parents go in a circle")
	}
	return nil
}

// Register makes names known that no provider has: a question may name them and finds nothing, where it would be a bad
// request otherwise.
func (t *Tree) Register(traits, classes []string) error {
	for _, name := range slices.Concat(traits, classes) {
		if !plainName.MatchString(name) {
			return bad(BadName, "%s cannot be known: A-Z, 0-9 and _ only, 255 at most", quote(name))
		}
	}
	maps.Copy(t.traits, setOf(traits...))
	maps.Copy(t.classes, setOf(classes...))
	return nil
}

func (t *Tree) knowsTrait(name string) bool { return t.traits[name] || standardTraits()[name] }
func (t *Tree) knowsClass(name string) bool { return t.classes[name] || standardClasses[name] }

// Providers are copies of all providers, in the order of NewTree, traits sorted.
func (t *Tree) Providers() []Provider {
	providers := make([]Provider, len(t.nodes))
	for i, n := range t.nodes {
		p := Provider{Name: n.name, Traits: slices.Sorted(maps.Keys(n.traits)), Inventories: map[string]Inventory{},
			Aggregates: slices.Clone(n.aggregates)}
		if n.parent >= 0 {
			p.Parent = t.nodes[n.parent].name
		}
		for class, inventory := range n.stock {
			p.Inventories[class] = *inventory
		}
		providers[i] = p
	}
	return providers
}

// SetUsed tells how much of a class is in use on a provider, for a caller that counts by itself.
func (t *Tree) SetUsed(provider, class string, used int) error {
	i, found := t.byName[provider]
	if !found || t.nodes[i].stock[class] == nil {
		return bad(BadProvider, "provider %s has no inventory of %s", quote(provider), quote(class))
	}
	if used < 0 || used > mostUsed {
		return bad(BadProvider, "provider %s: %s: used must be 0 to %d, not %d", quote(provider), class, mostUsed, used)
	}
	t.nodes[i].stock[class].Used = used
	return nil
}

// clone copies the tree, so that claims can be tried on it; generations begin anew.
func (t *Tree) clone() (*Tree, error) {
	copied, err := NewTree(t.Providers())
	if err != nil {
		return nil, err
	}
	maps.Copy(copied.traits, t.traits)
	maps.Copy(copied.classes, t.classes)
	return copied, nil
}

// above answers the deepest provider that is ancestor of both or one of them; both are of one tree.
func (t *Tree) above(a, b int) int {
	for a != b {
		if t.nodes[a].depth < t.nodes[b].depth {
			a, b = b, a
		}
		a = t.nodes[a].parent
	}
	return a
}

// remove takes a provider out that has no children; the others keep their order, stock and generations.
func (t *Tree) remove(name string) error {
	providers := slices.DeleteFunc(t.Providers(), func(p Provider) bool { return p.Name == name })
	smaller, err := NewTree(providers)
	if err != nil {
		return err
	}
	for _, n := range smaller.nodes {
		n.generation = t.nodes[t.byName[n.name]].generation
	}
	smaller.traits, smaller.classes = t.traits, t.classes
	*t = *smaller
	return nil
}
