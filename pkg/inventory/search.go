package inventory

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// maxSteps bounds a search: the pod chooses how many entries there are and how they hinder each other, and the
// runtime's lock is held while we look. Positions that led nowhere are remembered, so that what is not found within the
// bound is hardly ever there.
const maxSteps = 10_000

// search finds a provider for each group by trying them in order and going back where a later group finds nothing. The
// VFs of a provider are all alike to it, so that it counts them.
type search struct {
	*Pool
	request Request
	// releasing counts VFs that are on their way back, too.
	releasing bool

	// left is how many VFs each provider may still give away, egress how much bandwidth (kilobit/s), uses how many groups
	// it serves; whole tells which may give themselves away.
	left, egress, uses []int
	whole              []bool
	// fromKubelet is how many each provider may still give of what the kubelet gave, by gift.
	fromKubelet map[string][]int
	gifts       []string
	// serving is the provider of each group that is placed.
	serving []int
	dead    map[string]bool
	steps   int
}

func (p *Pool) search(request Request, releasing bool) *search {
	n := len(p.providers)
	numbers := make([]int, 3*n)
	return &search{
		Pool: p, request: request, releasing: releasing, dead: map[string]bool{},
		left: numbers[:n:n], egress: numbers[n : 2*n : 2*n], uses: numbers[2*n:], whole: make([]bool, n),
	}
}

// run answers whether all groups can be served at once.
func (s *search) run() bool {
	all, wanted := 0, 0
	for i, provider := range s.providers {
		s.left[i], s.whole[i] = s.room(provider), s.wholeFree(provider)
		s.egress[i] = math.MaxInt
		if provider.Bandwidth.Egress > 0 {
			s.egress[i] = provider.Bandwidth.Egress - provider.egress
		}
		all += s.left[i]
	}
	for _, group := range s.request.Groups {
		if !group.Whole && group.From == nil {
			wanted += group.Count
		}
	}
	s.countGiven()
	return wanted <= all && s.place(s.request.Groups)
}

// room is how many usable VFs a provider may give away.
func (s *search) room(provider *Provider) int {
	if provider.Reason != "" || (provider.givenOut() && !(s.releasing && provider.Whole.State == Releasing)) {
		return 0
	}
	usable := provider.stock.counts[Free]
	if len(s.siblings) > 0 || s.releasing {
		usable = 0
		for _, one := range provider.VFs {
			if s.usable(one) {
				usable++
			}
		}
	}
	return max(0, usable-provider.Reserved)
}

func (s *search) usable(one *VF) bool {
	return (one.State == Free || s.releasing && one.State == Releasing && len(one.promises) == 0) && s.untied(one, s.request.Sandbox, s.request.userspace())
}

// wholeFree tells whether the PF itself and all of its VFs are usable.
func (s *search) wholeFree(provider *Provider) bool {
	if provider.Whole == nil || !s.usable(provider.Whole) {
		return false
	}
	return s.allFree(provider)
}

func (s *search) place(groups []Group) bool {
	if len(groups) == 0 {
		return true
	}
	position := s.position(len(groups))
	if s.steps++; s.steps > maxSteps || s.dead[position] {
		return false
	}
	group := groups[0]
	for _, i := range s.preferred(group) {
		if !s.fits(i, group) {
			continue
		}
		left, egress := s.left[i], s.egress[i]
		stock := s.stockOf(group)
		stock[i] -= group.Count
		if group.Whole {
			s.left[i] = 0
		}
		if s.egress[i] != math.MaxInt {
			s.egress[i] -= group.Count * group.Egress
		}
		s.uses[i]++
		s.serving = append(s.serving, i)
		if s.place(groups[1:]) {
			return true
		}
		s.serving = s.serving[:len(s.serving)-1]
		s.uses[i]--
		stock[i] += group.Count
		s.left[i], s.egress[i] = left, egress
	}
	s.dead[position] = true
	return false
}

func (s *search) fits(i int, group Group) bool {
	switch {
	case s.request.Isolate && s.uses[i] > 0, s.providers[i].suits(group) != "":
		return false
	case group.Whole && group.From == nil:
		return group.Count == 1 && s.uses[i] == 0 && s.whole[i]
	}
	return s.stockOf(group)[i] >= group.Count && s.egress[i] >= group.Count*group.Egress
}

// preferred orders the providers: those on the pod's NUMA nodes first, then those whose free VFs need no other driver for
// the group, then by what they have left (the most first, or the least where the node is to be packed), then by name.
func (s *search) preferred(group Group) []int {
	order := make([]int, len(s.providers))
	for i := range order {
		order[i] = i
	}
	far := func(i int) int {
		if len(s.request.NUMANodes) == 0 || slices.Contains(s.request.NUMANodes, s.providers[i].PF.NUMANode) {
			return 0
		}
		return 1
	}
	rebound := func(i int) int {
		if (s.providers[i].Driver != "") == group.Userspace {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b int) int {
		left := s.left[b] - s.left[a]
		if s.pack {
			left = -left
		}
		return cmp.Or(far(a)-far(b), rebound(a)-rebound(b), left, strings.Compare(s.providers[a].PF.Name(), s.providers[b].PF.Name()))
	})
	return order
}

// position is all that decides whether the remaining groups can be placed.
func (s *search) position(remaining int) string {
	text := make([]byte, 0, 2+11*len(s.left))
	text = append(text, byte(remaining))
	for i, left := range s.left {
		text = append(text, byte(left), byte(left>>8), byte(min(1, s.uses[i])))
		if s.egress[i] != math.MaxInt {
			text = binary.LittleEndian.AppendUint64(text, uint64(s.egress[i]))
		}
	}
	for _, gift := range s.gifts {
		for _, left := range s.fromKubelet[gift] {
			text = append(text, byte(left))
		}
	}
	return string(text)
}

// chosen picks the VFs of free ones: the longest free first, since their last owner's frames are the longest gone.
func (s *search) chosen() [][]*VF {
	next := make([]*VF, len(s.providers))
	for i, provider := range s.providers {
		next[i] = provider.stock.first
	}
	var chosen [][]*VF
	var picked map[*VF]bool
	for g, i := range s.serving {
		group := s.request.Groups[g]
		if group.From != nil {
			if picked == nil {
				picked = map[*VF]bool{}
			}
			chosen = append(chosen, s.fromGiven(group, s.providers[i], picked))
			continue
		}
		if group.Whole {
			chosen = append(chosen, []*VF{s.providers[i].Whole})
			continue
		}
		vfs := make([]*VF, 0, group.Count)
		for one := next[i]; len(vfs) < group.Count; one = one.after {
			next[i] = one.after
			if len(s.siblings) == 0 || s.usable(one) {
				vfs = append(vfs, one)
			}
		}
		chosen = append(chosen, vfs)
	}
	return chosen
}
