package request

import (
	"fmt"
	"strconv"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// reservedNames are taken in every pod, or are no interface to Linux: all and default stand for every interface in
// /proc/sys/net, . and .. are directories there.
var reservedNames = map[string]string{
	"lo":      "is the pod's loopback interface",
	"eth0":    "is the interface of the pod's own network",
	"all":     "means every interface to Linux",
	"default": "means every new interface to Linux",
	".":       "is a directory",
	"..":      "is a directory",
}

// interfaceNames names every VF. The names that the pod chose are taken first, wherever they are; then each other entry
// takes the first netN that are free, one after the other.
func interfaceNames(raws []rawRequest, counts []int) ([][]string, error) {
	names := make([][]string, len(raws))
	owner := map[string]int{}
	for i := range raws {
		if raws[i].Name == nil {
			continue
		}
		chosen, err := chosenNames(*raws[i].Name, counts[i])
		if err != nil {
			return nil, inPlace(i, err)
		}
		for _, name := range chosen {
			if first, twice := owner[name]; twice {
				return nil, inPlace(i, fmt.Errorf("name: %s is already the name of an interface of entry %d",
					strictyaml.Quote(name), first+1))
			}
			owner[name] = i
		}
		names[i] = chosen
	}
	for i := range raws {
		if raws[i].Name == nil {
			names[i] = freeNames(counts[i], owner)
			for _, name := range names[i] {
				owner[name] = i
			}
		}
	}
	return names, nil
}

// chosenNames is the name itself for one VF, and the name with a number from 0 for each of several.
func chosenNames(name string, count int) ([]string, error) {
	if count == 1 {
		return []string{name}, checkName(name)
	}
	names := make([]string, count)
	for i := range names {
		names[i] = name + strconv.Itoa(i)
		// The name of the last VF may be a digit longer than that of the first.
		if err := checkName(names[i]); err != nil {
			return nil, fmt.Errorf("%w (count %d adds a number to name %s)", err, count, strictyaml.Quote(name))
		}
	}
	return names, nil
}

func checkName(name string) error {
	if why, reserved := reservedNames[name]; reserved {
		return fmt.Errorf("name: %q %s", name, why)
	}
	if err := config.CheckInterfaceName(name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	return nil
}

// freeNames are count names netN in a row; the pod has too few VFs to use them up.
func freeNames(count int, owner map[string]int) []string {
	var run []string
	for n := 1; len(run) < count; n++ {
		name := "net" + strconv.Itoa(n)
		if _, taken := owner[name]; taken {
			run = nil
			continue
		}
		run = append(run, name)
	}
	return run
}
