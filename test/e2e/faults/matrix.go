package faults

// Row is one fault and what must come of it.
type Row struct {
	Number         int
	Fault, Outcome string
	// Lab tells that emulated adapters, or a real runtime, are needed to show it; else it is shown with namespaces, made-up
	// sysfs and stand-ins.
	Lab bool
	// Limit says what no test here reaches, because it needs hardware; empty is nothing.
	Limit string
}

// Matrix is what goes wrong on nodes with SR-IOV, as the field's trackers tell it.
var Matrix = []Row{
	{1, "kill -9 after each step of an attach", "a live pod has its VF after the restart", true, ""},
	{2, "kill -9 after each step of a release", "the VF is back and clean after the restart", true, ""},
	{3, "containerd ended or killed in the midst of an attach", "reconnected, attached once", true, ""},
	{4, "the daemon away while pods start", "held back by the runtime, or attached late and told", true, ""},
	{5, "work that takes longer than the hook may", "an error in time; the plugin stays connected", true, ""},
	{6, "the runtime's list lacks a pod that is being made", "nothing is taken from it", false, ""},
	{7, "the daemon restarted between sandbox and container", "the attachment is kept", true, ""},
	{8, "the node reboots, in order or by power loss", "what was before is dropped by the boot's id", true, ""},
	{9, "the pod's network namespace gone before its stop", "the VF is found by its address, renamed, clean", true, ""},
	{10, "a path that is no network namespace", "taken as gone", false, ""},
	{11, "the kernel sends a VF home under the pod's name", "known by its address, never by name", true, ""},
	{12, "the VF's name in the host is taken, or is an alternative name", "a spare name until its own is free", true, ""},
	{13, "the interface's name is taken in the pod", "refused; the VF comes back", true, ""},
	{14, "an MTU or MAC that the driver refuses in the one message", "refused; the VF comes back", false, ""},
	{15, "a late release meets the VF's next owner", "the next owner keeps it", false, ""},
	{16, "many pods race for VFs", "each VF has one owner; the rest is refused with a sentence", true, ""},
	{17, "a stop twice, a removal without a stop, a stop without a start", "success, and nothing done", false, ""},
	{18, "a stop that is never told", "noticed within 10 s", true, ""},
	{19, "a VF in a namespace that nobody sees", "in quarantine with the reason, never handed out", true, ""},
	{20, "a VF's driver taken away under a pod", "told; the VF comes back with its driver", true, ""},
	{21, "the PF's link goes and comes", "nothing is done to VFs", true, ""},
	{22, "sriov_numvfs set to 0 under a pod", "told; the record is closed", true, ""},
	{23, "a PF removed under a pod", "the same, and the PF serves again when it is back", true, "surprise removal and PCI errors (AER)"},
	{24, "a driver that is busy", "tried again within bounds", false, "EBUSY and EAGAIN by real drivers"},
	{25, "a VF missing from the PF's list", "matched by number; an error when absent", false, ""},
	{26, "a setting that the driver does not know", "refused before the move; what was set is taken back", true, ""},
	{27, "a full, read-only or missing state folder", "nothing is attached; releases go on", true, ""},
	{28, "a journal record that is truncated, empty, random or huge", "set aside with a name; the daemon runs", true, ""},
	{29, "netlink that hangs", "an error in time, no growth, undone when it comes back", true, ""},
	{30, "interrupted dumps, lost events, interrupted calls", "asked again", false, ""},
	{31, "settings of an earlier tenant", "never seen by the next one", true, ""},
	{32, "a DPDK application changes its MAC, listens to all, is killed", "the next owner's VF is clean", true, "function-level reset as real adapters do it"},
	{33, "a thread left in a pod's namespace", "brought home or never used again", false, ""},
	{34, "thousands of pods", "descriptors, goroutines, memory and sockets stay flat", true, ""},
	{35, "two daemons at once", "the second waits and says so", true, ""},
	{36, "the clock leaps; many pods come and go", "no effect", true, ""},
}
