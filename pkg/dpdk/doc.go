// Package dpdk owns what a DPDK application needs of the host: the driver that a PCI function is bound to, its IOMMU
// group, the device nodes that a container is given, who still holds them, and the function's reset.
//
// sysfs and the device nodes are reached through an *os.Root each; a write opens O_WRONLY and never creates. Nothing
// here holds a lock: a write to unbind, bind or reset may hang for as long as the kernel likes (vfio-pci waits for ever
// for whoever has the device open, mlx5_core takes seconds), and then it holds up its caller and nobody else. A context
// is looked at between the writes; a write that was begun cannot be called off.
//
// It holds no policy, that is who gets which device and what rests in which driver; it knows nothing of NRI and
// network interfaces; of the project it imports pkg/vf for the PCI address alone. It never logs.
package dpdk
