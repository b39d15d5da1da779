// Package vf owns PFs, VFs, their settings and the move of a VF between network namespaces. It is the one place that
// touches sysfs, netlink and network namespaces: sysfs through an *os.Root, netlink through handles made for one
// namespace, and the thread's namespace in netns_linux.go only.
//
// It holds no policy: who may have which VF, and when, is decided above. It imports nothing of the project and never
// logs.
package vf
