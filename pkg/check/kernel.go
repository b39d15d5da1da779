package check

import (
	"fmt"
	"os"
	"strings"
)

// The first kernel whose interfaces tell their PCI device (IFLA_PARENT_DEV_NAME), by which VFs are found in pods.
const oldestMajor, oldestMinor = 5, 14

const osRelease = "/proc/sys/kernel/osrelease"

func checkKernel(path string) Finding {
	text, err := os.ReadFile(path)
	if err != nil {
		return Finding{Warning, "kernel", err.Error(), ""}
	}
	release := strings.TrimSpace(string(text))
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return Finding{Warning, "kernel", fmt.Sprintf("%q is no release that can be read", release), ""}
	}
	if major < oldestMajor || (major == oldestMajor && minor < oldestMinor) {
		return Finding{Failure, "kernel", release + " is too old: its interfaces do not tell their PCI device, so that VFs cannot be fetched from pods",
			fmt.Sprintf("use Linux %d.%d or later", oldestMajor, oldestMinor)}
	}
	return Finding{OK, "kernel", release, ""}
}
