package placement

import (
	"encoding/binary"
	"slices"
)

// position is all that decides whether the slots from i on can be served: what the slots before took of what those
// after may want, on which nodes groups sit that must be alone, the traits that are still to be met, and where the sets
// of same_subtree stand.
func (s *search) position(i int) string {
	pairs := s.scratch[:0]
	for j, n := range s.chosen {
		for _, w := range s.slots[j].wants {
			if pair := n*len(s.classes) + w.class; s.lastUse[pair] >= i {
				pairs = append(pairs, uint64(pair)<<1)
			}
		}
		if s.isolate && s.groups[s.slots[j].group].numbered() && s.lastGroup[n] >= i {
			pairs = append(pairs, uint64(n)<<1|1)
		}
	}
	slices.Sort(pairs)
	pairs = slices.Compact(pairs)
	s.scratch = pairs
	key := binary.AppendUvarint(make([]byte, 0, 64), uint64(i))
	key = binary.AppendUvarint(key, uint64(len(pairs)))
	for _, pair := range pairs {
		key = binary.AppendUvarint(key, pair)
		if pair&1 == 0 {
			key = binary.AppendVarint(key, int64(s.left[pair>>1]))
		}
	}
	key = s.cover.position(key, i)
	for _, set := range s.sets {
		if set.last >= i {
			key = binary.AppendVarint(key, int64(set.state.meet)<<1|int64(set.state.topped))
		}
	}
	s.steps -= len(key) / 16
	return string(key)
}
