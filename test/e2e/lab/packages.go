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
			"runc", "sed", "strace", "systemd", "tcpdump", "util-linux",
		},
		check: "usr/bin/busybox",
	}
	// testpmd is DPDK's own test program. Its closure holds compilers' files, systemd and Python for other
	// programs; what is not named here is in userland or not needed.
	testpmd = debs{
		packages: []string{"dpdk-dev"},
		unpack: []string{
			"dpdk-dev_*", "librte-*", "ibverbs-providers_*", "libfdt1_*", "libibverbs1_*", "libjansson4_*",
			"libnl-3-200_*", "libnl-route-3-200_*", "libnuma1_*",
		},
		check: "usr/bin/dpdk-testpmd",
	}
)

// testpmdDrivers are those of DPDK's drivers that stay: e1000 drives the lab's VFs, mempool_ring holds their packets, and
// testpmd is linked against the others. Every one in the folder is loaded at each start, which takes seconds for all.
var testpmdDrivers = []string{
	"bus_auxiliary", "bus_dpaa", "bus_pci", "bus_vdev", "common_dpaax", "common_iavf", "common_mlx5",
	"crypto_scheduler", "mempool_dpaa", "mempool_ring", "net_bnxt", "net_bond", "net_dpaa", "net_e1000",
	"net_i40e", "net_iavf", "net_ice", "net_ixgbe", "net_mlx5",
}

// initialModules is what the kernel needs to reach its root. (ext4 asks for a
// crc32c by its purpose, which modules.dep does not say.)
var initialModules = []string{"virtio_blk", "crc32c_generic", "ext4", "overlay"}
