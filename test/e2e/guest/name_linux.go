package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

func vfName(pf string, vf int) string { return pf + "v" + strconv.Itoa(vf) }

// watchNames does udev's work for the lab's NICs: as long as the agent lives,
// a netdev that appears under the kernel's own name (ethN) is given the name
// that follows from its place on the bus. One that somebody has named already
// keeps its name, as with udev.
func watchNames(pfs map[string]string) error {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("watch for netdevs: %w", err)
	}
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20); err != nil {
		return fmt.Errorf("watch for netdevs: %w", err)
	}
	if err := unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return fmt.Errorf("watch for netdevs: %w", err)
	}
	go func() {
		buffer := make([]byte, 16<<10)
		for {
			n, _, err := unix.Recvfrom(socket, buffer, 0)
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS) {
				continue
			}
			if err != nil {
				fmt.Println("lab: watch for netdevs:", err)
				return
			}
			if netdev := appeared(buffer[:n]); netdev != "" {
				if err := giveName(netdev, pfs); err != nil {
					fmt.Println("lab:", err)
				}
			}
		}
	}()
	return nil
}

// appeared is the netdev that a kernel event adds, or "".
func appeared(event []byte) string {
	var add, net bool
	var name string
	for field := range bytes.SplitSeq(event, []byte{0}) {
		key, value, _ := strings.Cut(string(field), "=")
		switch key {
		case "ACTION":
			add = value == "add"
		case "SUBSYSTEM":
			net = value == "net"
		case "INTERFACE":
			name = value
		}
	}
	if add && net {
		return name
	}
	return ""
}

func giveName(netdev string, pfs map[string]string) error {
	dir := filepath.Join(netdevs, netdev)
	const enumerated = "1" // NET_NAME_ENUM of linux/netdevice.h: nobody chose it
	if kind, err := os.ReadFile(filepath.Join(dir, "name_assign_type")); err != nil || strings.TrimSpace(string(kind)) != enumerated {
		return nil
	}
	name, err := placeName(dir, pfs)
	if err != nil || name == "" {
		return err
	}
	if err := rename(netdev, name); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("rename %s to %s: %w", netdev, name, err)
	}
	return nil
}

// placeName is the name that follows from the device's PCI address, "" for a
// device that is none of the lab's.
func placeName(dir string, pfs map[string]string) (string, error) {
	address, err := linkBase(filepath.Join(dir, "device"))
	if err != nil {
		return "", nil // no PCI device behind it
	}
	if name := pfs[address]; name != "" {
		return name, nil
	}
	physical := filepath.Join(dir, "device/physfn")
	parent, err := linkBase(physical)
	if err != nil || pfs[parent] == "" {
		return "", nil
	}
	links, err := filepath.Glob(filepath.Join(physical, "virtfn*"))
	if err != nil {
		return "", err
	}
	for _, link := range links {
		if target, err := linkBase(link); err == nil && target == address {
			number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(link), "virtfn"))
			return vfName(pfs[parent], number), err
		}
	}
	return "", fmt.Errorf("name %s: %s does not list it", address, parent)
}

func linkBase(path string) (string, error) {
	target, err := os.Readlink(path)
	return filepath.Base(target), err
}

func rename(from, to string) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	// struct ifreq: two names, and padding to its full size.
	var request struct {
		name, newName [unix.IFNAMSIZ]byte
		_             [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], from)
	copy(request.newName[:unix.IFNAMSIZ-1], to)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCSIFNAME, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
