package lab

// suite is the Debian release that the lab consists of, whatever the host is.
const suite = "trixie"

// A debs is a set of Debian packages that lie unpacked in one folder. More
// packages for the guest go into userland.packages.
type debs struct {
	packages []string
	// unpack, when set, names which of the closure to unpack (file name
	// patterns); the rest is not needed to run.
	unpack []string
	// check is a file that must be there afterwards.
	check string
}

var (
	emulator = debs{
		packages: []string{"qemu-system-x86"},
		check:    "usr/bin/qemu-system-x86_64",
	}
	kernel = debs{
		packages: []string{"linux-image-amd64"},
		unpack:   []string{"linux-image-[0-9]*"},
		check:    "boot",
	}
	userland = debs{
		packages: []string{
			"base-files", "bash", "busybox-static", "coreutils", "dash", "ethtool", "findutils",
			"gawk", "grep", "iproute2", "iputils-ping", "kmod", "netbase", "pciutils", "procps",
			"runc", "sed", "strace", "tcpdump", "util-linux",
		},
		check: "usr/bin/busybox",
	}
)

// initialModules is what the kernel needs to reach its root. (ext4 asks for a
// crc32c by its purpose, which modules.dep does not say.)
var initialModules = []string{"virtio_blk", "crc32c_generic", "ext4", "overlay"}
