package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// bareSystemd leaves of systemd what runs a service: nothing is started by itself. The guest's own init has mounted and
// its agent names the NICs and sets them up; there is no journal (units write files), no udev, no login.
func bareSystemd(root string) error {
	lib := filepath.Join(root, "usr/lib/systemd")
	unwanted := []string{filepath.Join(lib, "system-generators"), filepath.Join(root, "etc/systemd/system"), filepath.Join(root, "etc/init.d")}
	wants, err := filepath.Glob(filepath.Join(lib, "system/*.wants"))
	if err != nil {
		return err
	}
	if len(wants) == 0 {
		return fmt.Errorf("make systemd bare: %s has no units that want others", lib)
	}
	for _, dir := range append(unwanted, wants...) {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("make systemd bare: %w", err)
		}
	}
	return nil
}
