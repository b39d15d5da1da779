package placement

// What Options' zero values stand for.
const (
	// DefaultLimit bounds the candidates of one answer: k groups over n equal providers have n^k.
	DefaultLimit = 1000
	// DefaultSteps bounds a search; it takes some tens of milliseconds then.
	DefaultSteps = 200_000
)

// Options are the caller's, not the question's.
type Options struct {
	// Limit bounds the number of candidates; 0 is DefaultLimit. Question.Limit may only lower it.
	Limit int
	// MaxSteps bounds the search; 0 is DefaultSteps. A step is about one provider tried for one group.
	MaxSteps int
	// Prefer orders what could serve a group, the better first: it is negative when a is better than b. nil keeps the
	// order of the tree. It is asked anew for each group, since what is left depends on the groups before.
	Prefer func(suffix string, a, b Offer) int
}

// Offer is a provider as it stands when a group is about to choose.
type Offer struct {
	Provider string
	// Class is the one that is placed; of a numbered group with several, the first by name; empty without resources.
	Class string
	// Free is how much of the class is left beside what the groups before took.
	Free int
	// Groups counts the numbered groups before that chose this provider.
	Groups int
}

// Candidate is one answer: amounts, and who serves which group. Candidates share their maps, so that they may only be
// read.
type Candidate struct {
	// Allocations are amounts by provider and class, the groups' amounts added up.
	Allocations Allocations `json:"allocations"`
	// Mappings are the providers of each suffix, by name: one for a numbered group, one or more for the unnumbered one.
	// Two candidates of the same amounts may differ in them.
	Mappings map[string][]string `json:"mappings"`
}

// Allocations are amounts by provider and resource class.
type Allocations = map[string]map[string]int

// Result answers a question that is no bad request.
type Result struct {
	// Candidates are in the preferred order: by the first group's provider, then by the second's, and so on; the trees in
	// their order.
	Candidates []Candidate
	// Reasons say why there is none, or that these are not all.
	Reasons []string
	// More tells that there are more candidates than the limit.
	More bool
	// CutShort tells that the search was ended by MaxSteps: a candidate that is not among these may exist.
	CutShort bool
}

// Candidates answers all the ways in which the tree could serve the question now, up to the limit. The error is a
// *BadRequest. Claims do not look at traits and groups again: they rely on a candidate from here.
func Candidates(t *Tree, q Question, o Options) (Result, error) {
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if q.Limit > 0 {
		o.Limit = min(o.Limit, q.Limit)
	}
	return answer(t, q, o, true)
}

// First answers the first candidate of the preferred order and looks no further. The error is a *BadRequest.
func First(t *Tree, q Question, o Options) (Result, error) {
	o.Limit = 1
	return answer(t, q, o, false)
}

func answer(t *Tree, q Question, o Options, more bool) (Result, error) {
	p, err := newPlan(t, q)
	if err != nil {
		return Result{}, err
	}
	if o.MaxSteps <= 0 {
		o.MaxSteps = DefaultSteps
	}
	result := p.run(o, more)
	result.Reasons = p.reasons(result, o, q.Limit)
	return result, nil
}

// run searches all trees. With more it looks for one candidate above the limit, to tell whether there is one.
func (p *plan) run(o Options, more bool) Result {
	var result Result
	steps := o.MaxSteps
	for _, root := range p.tree.roots {
		if p.root.misses(p.tree.nodes[root].traits) != "" {
			continue
		}
		s := newSearch(p, root, o)
		s.steps, s.found = steps, result.Candidates
		if s.fits() {
			s.more = more
			s.place(0)
		}
		steps, result.Candidates = s.steps, s.found
		result.More = s.stopped && len(s.found) > o.Limit
		result.CutShort = s.steps < 0
		if s.stopped {
			break
		}
	}
	if result.More {
		result.Candidates = result.Candidates[:o.Limit]
	}
	return result
}
