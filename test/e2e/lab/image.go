package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Places in the guest's root.
const (
	binDir    = "/usr/local/bin"
	cniDir    = "/opt/cni/bin"
	imageFile = "/opt/lab/busybox.tar"
)

// imageParts are the folders that the guest's root is put together from.
type imageParts struct {
	userland, testpmd, containerd, cni string
	kernel                             kernelFiles
	kubernetes                         string // "" for a guest without a kubelet
}

// writeImage makes the guest's root: an ext4 that is only ever read, so that
// guests can share it.
func writeImage(ctx context.Context, place string, parts imageParts) error {
	root := place + ".root"
	defer os.RemoveAll(root)
	for _, copying := range [][2]string{
		{parts.userland, root},
		{parts.testpmd, root},
		{parts.containerd, root + binDir},
		{parts.cni, root + cniDir},
		{parts.kernel.modules, filepath.Join(root, "usr/lib/modules", parts.kernel.release)},
	} {
		if err := copyTree(ctx, copying[0], copying[1]); err != nil {
			return err
		}
	}
	if parts.kubernetes != "" {
		kubelet := filepath.Join(parts.kubernetes, "kubelet")
		if _, err := run(exec.CommandContext(ctx, "cp", "--archive", kubelet, root+binDir)); err != nil {
			return err
		}
	}
	if err := prune(root); err != nil {
		return err
	}
	if err := writeSystem(root); err != nil {
		return err
	}
	if err := bareSystemd(root); err != nil {
		return err
	}
	if err := linkBusybox(ctx, root); err != nil {
		return err
	}
	if err := writeBusyboxImage(root+imageFile, filepath.Join(root, "usr/bin/busybox")); err != nil {
		return err
	}
	return makeExt4(ctx, place, root)
}

// copyTree copies what is in a folder, with owners, modes and links.
func copyTree(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	_, err := run(exec.CommandContext(ctx, "cp", "--archive", from+"/.", to))
	return err
}

// prune leaves out what no test reads.
func prune(root string) error {
	for _, dir := range []string{
		"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/i18n",
		"usr/share/lintian", "usr/share/bash-completion", "boot",
	} {
		if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	// Drivers of hardware that the guest never has are most of the modules.
	unused, err := filepath.Glob(filepath.Join(root, "usr/lib/modules/*/kernel/drivers/*"))
	if err != nil {
		return err
	}
	for _, dir := range unused {
		switch filepath.Base(dir) {
		case "block", "iommu", "net", "pci", "ptp", "vdpa", "vfio", "vhost", "virtio", "uio", "i2c", "dca", "infiniband":
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	sound, err := filepath.Glob(filepath.Join(root, "usr/lib/modules/*/kernel/sound"))
	if err != nil {
		return err
	}
	for _, dir := range sound {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return pruneTestpmd(root)
}

// pruneTestpmd leaves out DPDK's other programs and the drivers that testpmd does without.
func pruneTestpmd(root string) error {
	programs, err := filepath.Glob(filepath.Join(root, "usr/bin/dpdk-*"))
	if err != nil {
		return err
	}
	drivers, err := filepath.Glob(filepath.Join(root, "usr/lib/x86_64-linux-gnu/dpdk/pmds-*/*"))
	if err != nil {
		return err
	}
	for _, file := range append(programs, drivers...) {
		name, _, _ := strings.Cut(filepath.Base(file), ".so")
		if name == "dpdk-testpmd" || slices.Contains(testpmdDrivers, strings.TrimPrefix(name, "librte_")) {
			continue
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// systemFiles are those that Debian's installation scripts would have made.
var systemFiles = map[string]string{
	"etc/passwd":        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
	"etc/group":         "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
	"etc/hosts":         "127.0.0.1 localhost lab\n::1 localhost\n",
	"etc/hostname":      "lab\n",
	"etc/resolv.conf":   "nameserver 10.0.2.3\n",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	"etc/machine-id":    "6e72692d7372696f762d6c6162000000\n", // no real machine's
}

func writeSystem(root string) error {
	for name, text := range systemFiles {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "root", "etc/cni/net.d", "opt/lab", "var/log", "var/lib", "mnt"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for link, target := range map[string]string{"var/run": "/run", "var/lock": "/run/lock", "etc/mtab": "/proc/mounts"} {
		place := filepath.Join(root, link)
		if err := os.RemoveAll(place); err != nil {
			return err
		}
		if err := os.Symlink(target, place); err != nil {
			return err
		}
	}
	return nil
}

// linkBusybox gives the guest those commands that no package brought.
func linkBusybox(ctx context.Context, root string) error {
	list, err := run(exec.CommandContext(ctx, filepath.Join(root, "usr/bin/busybox"), "--list"))
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(list) {
		found := false
		for _, dir := range []string{"usr/bin", "usr/sbin"} {
			if _, err := os.Lstat(filepath.Join(root, dir, name)); err == nil {
				found = true
			}
		}
		if found {
			continue
		}
		if err := os.Symlink("busybox", filepath.Join(root, "usr/bin", name)); err != nil {
			return err
		}
	}
	return nil
}

func makeExt4(ctx context.Context, place, root string) error {
	used, err := run(exec.CommandContext(ctx, "du", "--summarize", "--block-size=1M", root))
	if err != nil {
		return err
	}
	var megabytes int
	if _, err := fmt.Sscan(used, &megabytes); err != nil {
		return fmt.Errorf("read the size of the guest's root: %w", err)
	}
	_, err = run(exec.CommandContext(ctx, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-E", "root_owner=0:0",
		"-m", "0", "-d", root, place, fmt.Sprintf("%dM", megabytes*5/4+64)))
	return err
}
