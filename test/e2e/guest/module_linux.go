package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/modules"
)

// moduleInitCompressed is MODULE_INIT_COMPRESSED_FILE of linux/module.h: the
// kernel unpacks the file itself.
const moduleInitCompressed = 4

// loadModule loads one file; one that is loaded already is fine.
func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("load a kernel module: %w", err)
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(file, ".ko") {
		flags = moduleInitCompressed
	}
	if err := unix.FinitModule(int(f.Fd()), "", flags); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load the kernel module %s: %w", file, err)
	}
	return nil
}

// loadModules loads the named modules and all that they need from the root's
// own modules.
func loadModules(release string, names ...string) error {
	dir := filepath.Join("/lib/modules", release)
	dep, err := os.Open(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return fmt.Errorf("load kernel modules: %w", err)
	}
	defer dep.Close()
	dependencies, err := modules.Parse(dep)
	if err != nil {
		return err
	}
	in, err := os.Open(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return fmt.Errorf("load kernel modules: %w", err)
	}
	defer in.Close()
	builtin, err := modules.Builtin(in)
	if err != nil {
		return err
	}
	order, err := dependencies.Order(builtin, names...)
	if err != nil {
		return err
	}
	for _, file := range order {
		if err := loadModule(filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	return nil
}
