package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/modules"
	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// kernelFiles are the parts of an unpacked kernel package.
type kernelFiles struct{ image, release, modules string }

func findKernel(dir string) (kernelFiles, error) {
	found, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	if err != nil || len(found) != 1 {
		return kernelFiles{}, fmt.Errorf("find the kernel: want one boot/vmlinuz-*, got %q", found)
	}
	release := strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-")
	return kernelFiles{
		image:   found[0],
		release: release,
		modules: filepath.Join(dir, "usr/lib/modules", release),
	}, nil
}

// indexModules writes modules.dep and its like beside the modules, with the
// depmod of an unpacked userland: the package leaves that to its installation.
func indexModules(ctx context.Context, base, release, userland string) error {
	usr := filepath.Join(userland, "usr")
	cmd := exec.CommandContext(ctx, filepath.Join(usr, "lib64/ld-linux-x86-64.so.2"),
		"--library-path", filepath.Join(usr, "lib/x86_64-linux-gnu"), "--argv0", "depmod",
		filepath.Join(usr, "bin/kmod"), "-b", base, release)
	if _, err := run(cmd); err != nil {
		return fmt.Errorf("index the modules of kernel %s: %w", release, err)
	}
	return nil
}

// writeInitramfs packs the init and what it needs to reach its root.
func writeInitramfs(place string, k kernelFiles, init string) error {
	order, err := moduleOrder(k, initialModules)
	if err != nil {
		return err
	}
	var pack cpio
	program, err := os.ReadFile(init)
	if err != nil {
		return err
	}
	for _, dir := range []string{"dev", "proc", "sys", "modules"} {
		pack.folder(dir)
	}
	pack.file("init", 0o755, program)
	var list []string
	for _, file := range order {
		data, err := os.ReadFile(filepath.Join(k.modules, file))
		if err != nil {
			return err
		}
		name := path.Join("modules", path.Base(file))
		pack.file(name, 0o644, data)
		list = append(list, "/"+name)
	}
	pack.file(protocol.ModuleList[1:], 0o644, []byte(strings.Join(list, "\n")+"\n"))
	return os.WriteFile(place, pack.end(), 0o644)
}

func moduleOrder(k kernelFiles, names []string) ([]string, error) {
	dep, err := os.Open(filepath.Join(k.modules, "modules.dep"))
	if err != nil {
		return nil, err
	}
	defer dep.Close()
	builtin, err := os.Open(filepath.Join(k.modules, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	defer builtin.Close()
	dependencies, err := modules.Parse(dep)
	in, err2 := modules.Builtin(builtin)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return dependencies.Order(in, names...)
}

// cpio writes the archive format that the kernel reads (newc). It holds root's
// folders and files only, which is all that an initramfs needs.
type cpio struct {
	buffer bytes.Buffer
	inode  int
}

func (c *cpio) folder(name string)                            { c.entry(name, 0o040755, nil) }
func (c *cpio) file(name string, mode uint32, content []byte) { c.entry(name, 0o100000|mode, content) }

func (c *cpio) entry(name string, mode uint32, content []byte) {
	c.inode++
	// magic, inode, mode, uid, gid, links, mtime, size, device (2), special
	// device (2), length of the name with its zero, checksum (unused)
	fmt.Fprintf(&c.buffer, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	io.WriteString(&c.buffer, name+"\x00")
	c.align()
	c.buffer.Write(content)
	c.align()
}

func (c *cpio) align() {
	for c.buffer.Len()%4 != 0 {
		c.buffer.WriteByte(0)
	}
}

func (c *cpio) end() []byte {
	c.entry("TRAILER!!!", 0, nil)
	return c.buffer.Bytes()
}
