package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// MaxVFID is the highest number of a VF that a configuration may name.
const MaxVFID = 255

// IDSet is a set of numbers of VFs, ascending and without repetition. The nil set stands for every VF.
type IDSet []int

var idRange = regexp.MustCompile(`^([0-9]+)(?:-([0-9]+))?$`)

// ParseIDSet parses numbers and ranges such as 0-3,6. Numbers go from 0 to MaxVFID; none may be there twice, and the
// set may not be empty.
func ParseIDSet(text string) (IDSet, error) {
	var set IDSet
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		m := idRange.FindStringSubmatch(item)
		if m == nil {
			return nil, fmt.Errorf("%s is not a set of VF numbers such as 0-3,6", strictyaml.Quote(text))
		}
		if m[2] == "" {
			m[2] = m[1]
		}
		first, err := parseID(m[1])
		if err != nil {
			return nil, err
		}
		last, err := parseID(m[2])
		if err != nil {
			return nil, err
		}
		if last < first {
			return nil, fmt.Errorf("the range %s goes downwards", item)
		}
		for id := first; id <= last; id++ {
			if slices.Contains(set, id) {
				return nil, fmt.Errorf("VF %d is there twice in %s", id, strictyaml.Quote(text))
			}
			set = append(set, id)
		}
	}
	slices.Sort(set)
	return set, nil
}

func parseID(text string) (int, error) {
	id, err := strconv.Atoi(text)
	if err != nil || id > MaxVFID {
		return 0, fmt.Errorf("%s is not a VF number from 0 to %d", strictyaml.Quote(text), MaxVFID)
	}
	return id, nil
}

// Contains tells whether the VF with this number is in the set; every VF is in the nil set.
func (s IDSet) Contains(id int) bool {
	if s == nil {
		return true
	}
	_, found := slices.BinarySearch(s, id)
	return found
}

// String writes the set as ParseIDSet reads it, in its shortest form; the nil set is "all".
func (s IDSet) String() string {
	if s == nil {
		return "all"
	}
	var items []string
	for i := 0; i < len(s); {
		end := i
		for end+1 < len(s) && s[end+1] == s[end]+1 {
			end++
		}
		item := strconv.Itoa(s[i])
		if end > i {
			item += "-" + strconv.Itoa(s[end])
		}
		items = append(items, item)
		i = end + 1
	}
	return strings.Join(items, ",")
}
