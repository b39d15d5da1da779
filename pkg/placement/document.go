package placement

import (
	"fmt"
	"slices"
)

const (
	maxExisting = 4096
	maxNames    = 4096
	maxTerms    = 128
)

// Document is a question as a file holds it, with the world in which it is asked, or without: then it is about a node
// that the caller knows.
type Document struct {
	// Whole tells that the document describes the providers, be there none.
	Whole     bool
	Providers []Provider
	// Existing are claims that are made first, in order.
	Existing []Change
	// KnownTraits are traits that nobody has and that may be asked for all the same.
	KnownTraits []string
	Question    Question
}

// ParseQuestion reads a question as JSON:
//
//	{"providers": [{"name": …, "parent": name or null, "traits": [], "aggregates": [], "inventories": {class: {"total": n}}}],
//	 "existing_allocations": [{"consumer": …, "allocations": {provider: {class: amount}}}],
//	 "known_traits": […],
//	 "request": {"groups": {suffix: {"resources": {class: amount}, "required": […], "in_tree": …}},
//	             "group_policy": …, "same_subtree": [[suffix, …]], "root_required": …, "limit": n}}
//
// All but request may be absent; an inventory may have reserved, min_unit, max_unit, step_size and allocation_ratio too.
// An unknown key, a key that is there twice and a value of another type are errors. Groups are sorted by suffix. The
// error is a *BadRequest.
func ParseQuestion(text []byte) (Document, error) {
	root, err := parseJSON(text)
	if err != nil {
		return Document{}, err
	}
	var d Document
	var r reader
	o := r.object(root, "", "providers", "existing_allocations", "known_traits", "request")
	for _, key := range o.keys {
		field := o.fields[key]
		switch key {
		case "providers":
			d.Whole = true
			for i, item := range r.list(field, key, maxProviders) {
				d.Providers = append(d.Providers, r.provider(item, fmt.Sprintf("providers[%d]", i)))
			}
		case "existing_allocations":
			for i, item := range r.list(field, key, maxExisting) {
				d.Existing = append(d.Existing, r.existing(item, fmt.Sprintf("existing_allocations[%d]", i)))
			}
		case "known_traits":
			d.KnownTraits = r.texts(field, key, maxNames)
		}
	}
	if request, found := o.fields["request"]; found {
		d.Question = r.question(request, "request")
	} else {
		r.fail(BadDocument, "", "there is no request")
	}
	return d, r.err
}

func (r *reader) provider(v value, path string) Provider {
	var p Provider
	o := r.object(v, path, "name", "parent", "inventories", "traits", "aggregates")
	for _, key := range o.keys {
		field, place := o.fields[key], join(path, key)
		switch key {
		case "name":
			p.Name = r.text(field, place)
		case "parent":
			if field == nil {
				continue
			}
			if p.Parent = r.text(field, place); p.Parent == "" {
				r.fail(BadProvider, place, "a root's parent is null")
			}
		case "traits":
			p.Traits = r.texts(field, place, maxNames)
		case "aggregates":
			p.Aggregates = r.texts(field, place, maxNames)
		case "inventories":
			p.Inventories = map[string]Inventory{}
			classes := r.object(field, place)
			for _, class := range classes.keys {
				p.Inventories[class] = r.inventory(classes.fields[class], join(place, class))
			}
		}
	}
	return p
}

func (r *reader) inventory(v value, path string) Inventory {
	inventory := NewInventory(0)
	o := r.object(v, path, "total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")
	if _, found := o.fields["total"]; !found {
		r.fail(BadProvider, path, "there is no total")
	}
	for _, key := range o.keys {
		place := join(path, key)
		if key == "allocation_ratio" {
			inventory.AllocationRatio = r.number(o.fields[key], place)
			continue
		}
		n := r.integer(BadProvider, o.fields[key], place)
		switch key {
		case "total":
			inventory.Total = n
		case "reserved":
			inventory.Reserved = n
		case "min_unit":
			inventory.MinUnit = n
		case "max_unit":
			inventory.MaxUnit = n
		case "step_size":
			inventory.StepSize = n
		}
	}
	return inventory
}

func (r *reader) existing(v value, path string) Change {
	change := Change{Allocations: Allocations{}}
	o := r.object(v, path, "consumer", "allocations")
	for _, key := range o.keys {
		place := join(path, key)
		if key == "consumer" {
			change.Consumer = r.text(o.fields[key], place)
			continue
		}
		providers := r.object(o.fields[key], place)
		for _, provider := range providers.keys {
			change.Allocations[provider] = r.amounts(providers.fields[provider], join(place, provider))
		}
	}
	return change
}

func (r *reader) amounts(v value, path string) map[string]int {
	amounts := map[string]int{}
	o := r.object(v, path)
	for _, class := range o.keys {
		amounts[class] = r.integer(BadAmount, o.fields[class], join(path, class))
	}
	return amounts
}

func (r *reader) question(v value, path string) Question {
	var q Question
	o := r.object(v, path, "groups", "group_policy", "same_subtree", "root_required", "limit")
	if _, found := o.fields["groups"]; !found {
		r.fail(NoResources, path, "there are no groups")
	}
	for _, key := range o.keys {
		field, place := o.fields[key], join(path, key)
		switch key {
		case "groups":
			groups := r.object(field, place)
			for _, suffix := range slices.Sorted(slices.Values(groups.keys)) {
				q.Groups = append(q.Groups, r.group(groups.fields[suffix], suffix, join(place, suffix)))
			}
		case "group_policy":
			if q.GroupPolicy = r.text(field, place); q.GroupPolicy == "" {
				r.fail(GroupPolicyInvalid, place, "this is %s or %s", PolicyNone, PolicyIsolate)
			}
		case "same_subtree":
			for i, set := range r.list(field, place, maxSubtrees) {
				q.SameSubtree = append(q.SameSubtree, r.texts(set, fmt.Sprintf("%s[%d]", place, i), maxNames))
			}
		case "root_required":
			if q.RootRequired = r.text(field, place); q.RootRequired == "" {
				r.fail(BadTraitSyntax, place, "this names no trait")
			}
		case "limit":
			if q.Limit = r.integer(BadLimit, field, place); q.Limit < 1 {
				r.fail(BadLimit, place, "this must be at least 1, not %d", q.Limit)
			}
		}
	}
	return q
}

func (r *reader) group(v value, suffix, path string) Group {
	g := Group{Suffix: suffix}
	o := r.object(v, path, "resources", "required", "member_of", "in_tree")
	for _, key := range o.keys {
		field, place := o.fields[key], join(path, key)
		switch key {
		case "resources":
			g.Resources = r.amounts(field, place)
		case "required":
			g.Required = r.texts(field, place, maxTerms)
		case "member_of":
			g.MemberOf = r.texts(field, place, maxTerms)
		case "in_tree":
			if g.InTree = r.text(field, place); g.InTree == "" {
				r.fail(BadDocument, place, "this names no provider")
			}
		}
	}
	return g
}

// Ask answers the document's question: about its own providers, or else about the node's, with its existing claims
// made on them. The node may be nil when the document is whole; it is not changed. The error is a *BadRequest.
func (d Document) Ask(node *Tree, o Options) (Result, error) {
	t, err := d.tree(node)
	if err != nil {
		return Result{}, err
	}
	if err := t.Register(d.KnownTraits, nil); err != nil {
		return Result{}, at("known_traits", err)
	}
	ledger := NewLedger(t)
	for i, change := range d.Existing {
		if err := ledger.Write(change); err != nil {
			return Result{}, bad(BadExistingAllocations, "existing_allocations[%d]: %s", i, err)
		}
	}
	return Candidates(t, d.Question, o)
}

func (d Document) tree(node *Tree) (*Tree, error) {
	switch {
	case d.Whole:
		return NewTree(d.Providers)
	case node == nil:
		return nil, bad(BadDocument, "there are no providers, and no node that the question could be about")
	}
	return node.clone()
}
