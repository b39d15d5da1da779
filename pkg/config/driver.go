package config

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/dpdk"
	"github.com/nri-sriov/nri-sriov/pkg/strictyaml"
)

// maxDriverName is the length of the longest name of a module, in bytes: MODULE_NAME_LEN of linux/module.h without the
// zero byte. Drivers are called as their modules are.
const maxDriverName = 55

var (
	vfioDriver = regexp.MustCompile(`^([a-z0-9]+[-_])*vfio[-_]pci$`)
	uuidForm   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// checkDriver tells why a text cannot be the driver of user space's VFs.
func checkDriver(name string) error {
	switch {
	case name == "vfio_pci":
		return errors.New("vfio_pci is the name of the module; the driver is called vfio-pci")
	case len(name) <= maxDriverName && vfioDriver.MatchString(name), dpdk.IsUIO(name):
		return nil
	}
	return fmt.Errorf("%s is no driver that gives a VF to user space: vfio-pci, a variant of it such as mlx5_vfio_pci, "+
		"uio_pci_generic or igb_uio; leave driver away for the kernel's own network driver", strictyaml.Quote(name))
}

// driver reads what a provider says of drivers that give its VFs to user space.
func (v validation) driver(at string, raw *rawProvider, provider *Provider) {
	if raw.Driver != nil {
		v.check(at+".driver", checkDriver(*raw.Driver))
		provider.Driver = *raw.Driver
	}
	provider.AllowNoIOMMU = orElse(raw.AllowNoIOMMU, false)
	if raw.VFToken == nil {
		return
	}
	if dpdk.IsUIO(provider.Driver) {
		v.Addf(at+".vfToken", "%s asks for no token; vfio-pci does, of the VFs of a PF that is bound to it", provider.Driver)
	}
	token, err := parseVFToken(*raw.VFToken)
	v.check(at+".vfToken", err)
	provider.VFToken = token
}

// parseVFToken reads a UUID, which the kernel compares as bytes; it comes back in lower case.
func parseVFToken(text string) (string, error) {
	token := strings.ToLower(text)
	switch {
	case !uuidForm.MatchString(token):
		return "", fmt.Errorf("%s is not a UUID such as 2ab74924-c335-45f4-9b16-8569e5b08258", strictyaml.Quote(text))
	case strings.Trim(token, "0-") == "":
		return "", errors.New("the UUID of zeros is no secret; uuidgen makes one")
	}
	return token, nil
}

// checkHugepages tells why containers cannot be given a folder at dir: one of the system's own would be hidden.
func checkHugepages(dir string) error {
	system := dir == "/" || dir == "/dev"
	for _, each := range []string{"/proc", "/sys"} {
		system = system || dir == each || strings.HasPrefix(dir, each+"/")
	}
	if !path.IsAbs(dir) || path.Clean(dir) != dir || system {
		return fmt.Errorf("%s is no place of a hugetlbfs: an absolute path such as /dev/hugepages, without .., . and a slash "+
			"at the end; not / or /dev, and nothing below /proc and /sys", strictyaml.Quote(dir))
	}
	return nil
}
