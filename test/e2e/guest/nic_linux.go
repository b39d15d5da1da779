package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const netdevs = "/sys/class/net"

// configureManagement brings lo and the host's own NIC up, with the fixed
// addresses of QEMU's user network.
func configureManagement() error {
	if err := waitFor(filepath.Join(netdevs, "eth0"), 20*time.Second); err != nil {
		return err
	}
	return ip("link set lo up",
		"addr add 10.0.2.15/24 dev eth0",
		"link set eth0 up",
		"route add default via 10.0.2.2")
}

func ip(lines ...string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("configure %q: %w: %s", lines, err, out)
	}
	return nil
}

// bringUp loads the PFs' drivers, names and raises the PFs, and then makes
// their VFs: VFs that appear under a PF without a carrier stay in reset.
func bringUp(release string, args arguments) error {
	if len(args.pfs) == 0 {
		return nil
	}
	if err := watchNames(args.pfs); err != nil {
		return err
	}
	if err := loadModules(release, "igb", "igbvf"); err != nil {
		return err
	}
	names := slices.Sorted(maps.Values(args.pfs))
	var up []string
	for _, name := range names {
		if err := waitFor(filepath.Join(netdevs, name), 30*time.Second); err != nil {
			return err
		}
		up = append(up, "link set "+name+" up")
	}
	if err := ip(up...); err != nil {
		return err
	}
	for _, name := range names {
		if err := waitForCarrier(name, 30*time.Second); err != nil {
			return err
		}
	}
	if args.vfs == 0 {
		return nil
	}
	return makeVFs(names, args.vfs)
}

// makeVFs makes VFs and has them probed one after the other. The kernel would
// probe them at once, while the PF is in the reset that making VFs starts; a
// VF that sees the reset gets no carrier for seconds when it is first raised.
func makeVFs(pfs []string, vfs int) error {
	for _, name := range pfs {
		device := filepath.Join(netdevs, name, "device")
		probe := filepath.Join(device, "sriov_drivers_autoprobe")
		if err := write(probe, "0"); err != nil {
			return err
		}
		if err := write(filepath.Join(device, "sriov_numvfs"), strconv.Itoa(vfs)); err != nil {
			return err
		}
		if err := write(probe, "1"); err != nil {
			return err
		}
	}
	for _, name := range pfs {
		if err := waitForCarrier(name, 30*time.Second); err != nil {
			return err
		}
	}
	for _, name := range pfs {
		for n := range vfs {
			address, err := linkBase(filepath.Join(netdevs, name, "device", fmt.Sprintf("virtfn%d", n)))
			if err != nil {
				return fmt.Errorf("find VF %d of %s: %w", n, name, err)
			}
			if err := write("/sys/bus/pci/drivers_probe", address); err != nil {
				return err
			}
			if err := waitFor(filepath.Join(netdevs, vfName(name, n)), 30*time.Second); err != nil {
				return err
			}
		}
	}
	// The first probe may find the PF's link still settling.
	for _, name := range pfs {
		if err := waitForCarrier(name, 30*time.Second); err != nil {
			return err
		}
	}
	return nil
}

func write(path, value string) error {
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("write %q: %w", value, err)
	}
	return nil
}

func waitForCarrier(name string, limit time.Duration) error {
	path := filepath.Join(netdevs, name, "carrier")
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(path) // an error until the link is up
		if err == nil && strings.TrimSpace(string(text)) == "1" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for the carrier of %s: none after %s (last: %q, %v)", name, limit, text, err)
		}
	}
}
