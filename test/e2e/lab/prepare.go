package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// recipe is raised when the steps below make something else from the same parts.
const recipe = "1"

// Assets is everything that a guest consists of, as files of the cache.
type Assets struct {
	Kernel    string // the kernel's image
	Release   string // the kernel's release, as uname -r says
	Initramfs string
	Image     string // the guest's root, only ever read
	// Containerd is the version of the containerd in Image.
	Containerd Version
	qemu       program
}

// Prepare makes the lab's parts, or finds them in the cache: a QEMU whose igb
// works, a kernel, the guest's root with containerd, CNI plugins and runc. The
// first run fetches some 300 MB and compiles for minutes; later ones take a
// second. It needs root, Debian's apt and a Go toolchain. The containerd is the
// one that NRI_SRIOV_LAB_CONTAINERD names, or else the pinned one.
func Prepare(ctx context.Context, progress io.Writer) (*Assets, error) {
	return PrepareContainerd(ctx, "", progress)
}

// PrepareContainerd is Prepare with a version of containerd, such as 1.7.35;
// "" is Prepare's own choice. Parts that are the same in all versions are made
// once.
func PrepareContainerd(ctx context.Context, version string, progress io.Writer) (assets *Assets, err error) {
	begin := time.Now()
	err = withCache(ctx, progress, func(c *cache, src source) error {
		assets, err = prepare(ctx, c, src, version, "")
		if err == nil {
			fmt.Fprintf(progress, "lab: prepared in %.1f s, with containerd %s, in %s\n", time.Since(begin).Seconds(), assets.Containerd, c.dir)
		}
		return err
	})
	return assets, err
}

// withCache has something prepared while nobody else does.
func withCache(ctx context.Context, progress io.Writer, do func(*cache, source) error) (err error) {
	if err := checkHost(ctx, progress); err != nil {
		return err
	}
	src, err := findSource(ctx)
	if err != nil {
		return err
	}
	dir, err := cacheDir()
	if err != nil {
		return err
	}
	c, unlock, err := openCache(ctx, dir, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := do(c, src); err != nil {
		return fmt.Errorf("prepare the lab: %w", err)
	}
	return nil
}

// prepare makes a guest's parts; kubernetes is the folder with a kubelet, "" for a guest without one.
func prepare(ctx context.Context, c *cache, src source, containerd, kubernetes string) (*Assets, error) {
	runtime, err := src.containerd(containerd)
	if err != nil {
		return nil, err
	}
	assets := &Assets{Containerd: runtime.version}
	qemu, err := prepareQEMU(ctx, c)
	if err != nil {
		return nil, err
	}
	assets.qemu = qemu
	user, err := c.debs(ctx, "userland", userland)
	if err != nil {
		return nil, err
	}
	indexed, err := c.artefact("kernel", key(recipe, kernel.key(), userland.key()), func(dir string) error {
		return prepareKernel(ctx, c, user, dir)
	})
	if err != nil {
		return nil, err
	}
	k, err := findKernel(indexed)
	if err != nil {
		return nil, err
	}
	assets.Kernel, assets.Release = k.image, k.release
	if assets.Initramfs, err = prepareInitramfs(ctx, c, src, k, filepath.Base(indexed)); err != nil {
		return nil, err
	}
	parts := imageParts{userland: user, kernel: k, kubernetes: kubernetes}
	if parts.testpmd, err = c.debs(ctx, "testpmd", testpmd); err != nil {
		return nil, err
	}
	if parts.cni, err = c.tools(ctx, src, "cni", src.tools("cni")); err != nil {
		return nil, err
	}
	if parts.containerd, err = c.containerd(ctx, src, runtime); err != nil {
		return nil, err
	}
	from := []string{recipe, strings.Join(testpmdDrivers, " "), filepath.Base(user), filepath.Base(parts.testpmd), filepath.Base(indexed), filepath.Base(parts.cni), filepath.Base(parts.containerd)}
	if kubernetes != "" {
		from = append(from, filepath.Base(kubernetes))
	}
	image, err := c.artefact("image", key(from...), func(dir string) error {
		return writeImage(ctx, filepath.Join(dir, "root.ext4"), parts)
	})
	if err != nil {
		return nil, err
	}
	assets.Image = filepath.Join(image, "root.ext4")
	return assets, nil
}

func prepareQEMU(ctx context.Context, c *cache) (program, error) {
	if named := os.Getenv(qemuEnv); named != "" {
		qemu := program{argv: []string{named}}
		return qemu, qemu.check(ctx)
	}
	dir, err := c.debs(ctx, "qemu", emulator)
	if err != nil {
		return program{}, err
	}
	qemu := unpackedQEMU(dir)
	return qemu, qemu.check(ctx)
}

func prepareKernel(ctx context.Context, c *cache, userland, dir string) error {
	a, err := hostArchive(ctx)
	if err != nil {
		return err
	}
	if err := kernel.fetch(ctx, c, a, dir); err != nil {
		return err
	}
	k, err := findKernel(dir)
	if err != nil {
		return err
	}
	return indexModules(ctx, filepath.Join(dir, "usr"), k.release, userland)
}

func prepareInitramfs(ctx context.Context, c *cache, src source, k kernelFiles, kernel string) (string, error) {
	guest, err := src.guestKey()
	if err != nil {
		return "", err
	}
	dir, err := c.artefact("initramfs", key(recipe, guest, kernel, fmt.Sprint(initialModules)), func(dir string) error {
		if err := src.buildGuest(ctx, dir); err != nil {
			return err
		}
		return writeInitramfs(filepath.Join(dir, "initramfs"), k, filepath.Join(dir, "init"))
	})
	return filepath.Join(dir, "initramfs"), err
}

// debs is the folder with a set of Debian packages.
func (c *cache) debs(ctx context.Context, name string, d debs) (string, error) {
	return c.artefact(name, key(recipe, d.key()), func(dir string) error {
		a, err := hostArchive(ctx)
		if err != nil {
			return err
		}
		return d.fetch(ctx, c, a, dir)
	})
}

// tools is the folder with what a tools module builds.
func (c *cache) tools(ctx context.Context, src source, name, module string, flags ...string) (string, error) {
	version, err := toolKey(name, module, flags...)
	if err != nil {
		return "", err
	}
	return c.artefact(name, key(recipe, version), func(dir string) error {
		return src.buildTools(ctx, c, name, module, dir, flags...)
	})
}
