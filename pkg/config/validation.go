package config

import (
	"fmt"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// validation turns raw values into valid ones. Each of its methods reports what is wrong and returns what it can; the
// result counts only when nothing was reported.
type validation struct {
	*strictyaml.Problems
	// keys are those of each map of the document, by the map's place.
	keys map[string][]string
}

func (v validation) node(raw *rawNode) *Node {
	v.head("apiVersion", raw.APIVersion, APIVersion)
	v.head("kind", raw.Kind, Kind)
	if raw.Hugepages != nil {
		v.check("hugepages", checkHugepages(*raw.Hugepages))
	}
	return &Node{
		Providers: v.providers(raw.Providers),
		OfferAll:  raw.Providers == nil,
		Networks:  v.networks(raw.Networks),
		Hugepages: orElse(raw.Hugepages, ""),
		Taint:     orElse(raw.Taint, false),
		Pack:      v.oneOf("placement", raw.Placement, "spread", "pack") == "pack",
	}
}

func (v validation) head(key string, value *string, want string) {
	switch {
	case value == nil:
		v.Addf("", "%s is missing; it must be %s", key, want)
	case *value != want:
		v.Addf(key, "%s is unknown here; it must be %s", strictyaml.Quote(*value), want)
	}
}

// check reports err at path.
func (v validation) check(path string, err error) {
	if err != nil {
		v.Addf(path, "%s", err)
	}
}

// number is the value, or absent when the file leaves it away.
func (v validation) number(path string, value *int, absent, least, most int) int {
	if value == nil {
		return absent
	}
	if *value < least || *value > most {
		v.Addf(path, "%d is not a number from %d to %d", *value, least, most)
	}
	return *value
}

// oneOf is the value, or the first of the known ones when the file leaves it away.
func (v validation) oneOf(path string, value *string, known ...string) string {
	if value == nil {
		return known[0]
	}
	for _, one := range known {
		if *value == one {
			return one
		}
	}
	v.Addf(path, "%s is none of %s", strictyaml.Quote(*value), strings.Join(known, ", "))
	return known[0]
}

// list checks each element of a list and that none is there twice.
func (v validation) list(path string, list []string, check func(string) error) []string {
	for i, one := range list {
		v.check(index(path, i), check(one))
	}
	if one, twice := firstTwice(list); twice {
		v.Addf(path, "%s is there twice", strictyaml.Quote(one))
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func orElse[T any](value *T, absent T) T {
	if value == nil {
		return absent
	}
	return *value
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
