package inventory

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// DefaultCNILocks is the folder in which sriov-cni writes down what it has given to whom, with its default cniDir.
const DefaultCNILocks = "/var/lib/cni/sriov/pci"

// maxNamespacePath is PATH_MAX of linux/limits.h.
const maxNamespacePath = 4096

// readCNILocks finds what sriov-cni has given to pods that are still there, with the file that says so. The form is that
// of pkg/utils/pci_allocator.go in github.com/k8snetworkplumbingwg/sriov-cni: a file by the name of the PCI address holds
// the path of the pod's network namespace. As there, a file whose namespace is gone says nothing; neither does one that
// names the host's. A file that cannot be read counts as a lock.
func readCNILocks(dir string, host *vf.Namespace) (map[vf.PCIAddress]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return nil, nil // not there, or not for this user, who changes nothing
	}
	if err != nil {
		return nil, fmt.Errorf("look for what sriov-cni has given away: %w", err)
	}
	locked := map[vf.PCIAddress]string{}
	for _, entry := range entries {
		address, err := vf.ParsePCIAddress(entry.Name())
		if err != nil || !entry.Type().IsRegular() {
			continue
		}
		file := filepath.Join(dir, entry.Name())
		path, err := readBounded(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || otherNamespace(path, host) {
			locked[address] = file
		}
	}
	return locked, nil
}

func readBounded(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxNamespacePath))
	return strings.TrimSpace(string(text)), err
}

// otherNamespace tells whether a path is a network namespace other than the host's, as far as this user may look.
func otherNamespace(path string, host *vf.Namespace) bool {
	if !filepath.IsAbs(path) {
		return false
	}
	inode, err := vf.NamespaceInode(path)
	return err == nil && inode != host.Inode() || errors.Is(err, fs.ErrPermission)
}
