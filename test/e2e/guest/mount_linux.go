package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// mount is one mount(2). An optional one may be unknown to the kernel.
type mount struct {
	what, where, kind string
	flags             uintptr
	data              string
	optional          bool
}

const noExec = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// early is what loading modules needs.
var early = []mount{
	{what: "proc", where: "/proc", kind: "proc", flags: noExec},
	{what: "sysfs", where: "/sys", kind: "sysfs", flags: noExec},
	{what: "devtmpfs", where: "/dev", kind: "devtmpfs", flags: unix.MS_NOSUID, data: "mode=0755"},
}

// root is the image, read-only and shared by every guest, under memory.
var root = []mount{
	{what: "/dev/vda", where: "/image", kind: "ext4", flags: unix.MS_RDONLY},
	{what: "tmpfs", where: "/memory", kind: "tmpfs", data: "mode=0755,size=75%"},
	{where: "/memory/upper"},
	{where: "/memory/work"},
	{what: "overlay", where: "/new", kind: "overlay", data: "lowerdir=/image,upperdir=/memory/upper,workdir=/memory/work"},
}

// late is a whole system's.
var late = []mount{
	{what: "proc", where: "/proc", kind: "proc", flags: noExec},
	{what: "sysfs", where: "/sys", kind: "sysfs", flags: noExec},
	{what: "devtmpfs", where: "/dev", kind: "devtmpfs", flags: unix.MS_NOSUID, data: "mode=0755"},
	{what: "devpts", where: "/dev/pts", kind: "devpts", flags: unix.MS_NOSUID | unix.MS_NOEXEC, data: "gid=5,mode=0620,ptmxmode=0666"},
	{what: "shm", where: "/dev/shm", kind: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV},
	{what: "mqueue", where: "/dev/mqueue", kind: "mqueue", flags: noExec, optional: true},
	{what: "hugetlbfs", where: "/dev/hugepages", kind: "hugetlbfs", data: "pagesize=2M", optional: true},
	{what: "tmpfs", where: "/run", kind: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, data: "mode=0755"},
	{what: "tmpfs", where: "/tmp", kind: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, data: "mode=1777"},
	{what: "cgroup2", where: "/sys/fs/cgroup", kind: "cgroup2", flags: noExec},
	{what: "bpf", where: "/sys/fs/bpf", kind: "bpf", flags: noExec, optional: true},
	{what: "debugfs", where: "/sys/kernel/debug", kind: "debugfs", flags: noExec, optional: true},
	{what: "tracefs", where: "/sys/kernel/tracing", kind: "tracefs", flags: noExec, optional: true},
}

// mountState mounts what outlives a boot: the second disk, else memory. It is
// no overlay in either case, because containerd's snapshots are overlays
// themselves and cannot lie on one.
func mountState(place string) error {
	disk := mount{what: "/dev/vdb", where: place, kind: "ext4"}
	if _, err := os.Stat(disk.what); errors.Is(err, fs.ErrNotExist) {
		disk = mount{what: "tmpfs", where: place, kind: "tmpfs", data: "mode=0755,size=75%"}
	}
	return mountAll([]mount{disk})
}

// mountAll makes each folder and mounts on it; one without a kind is a folder only.
func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.where, 0o755); err != nil && !m.optional {
			return fmt.Errorf("make the mount point %s: %w", m.where, err)
		}
		if m.kind == "" {
			continue
		}
		err := unix.Mount(m.what, m.where, m.kind, m.flags, m.data)
		if errors.Is(err, unix.EBUSY) { // the kernel mounts devtmpfs by itself
			continue
		}
		if err != nil && !m.optional {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.where, err)
		}
	}
	return nil
}
