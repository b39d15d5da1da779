package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// qemuEnv names another QEMU than the one that Prepare fetches.
const qemuEnv = "NRI_SRIOV_LAB_QEMU"

// program is how to start QEMU.
type program struct {
	argv []string
	env  []string
}

// unpackedQEMU starts a QEMU that lies unpacked in a folder, with the C
// library of its own release, whatever the host's is.
func unpackedQEMU(dir string) program {
	usr := filepath.Join(dir, "usr")
	lib := filepath.Join(usr, "lib/x86_64-linux-gnu")
	return program{
		argv: []string{
			filepath.Join(usr, "lib64/ld-linux-x86-64.so.2"), "--library-path", lib,
			filepath.Join(usr, "bin/qemu-system-x86_64"),
			"-L", filepath.Join(usr, "share/seabios"), "-L", filepath.Join(usr, "share/qemu"),
		},
		env: []string{"QEMU_MODULE_DIR=" + filepath.Join(lib, "qemu")},
	}
}

func (p program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.argv[0], append(p.argv[1:len(p.argv):len(p.argv)], args...)...)
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

// check refuses a QEMU whose igb does not work.
func (p program) check(ctx context.Context) error {
	text, err := run(p.command(ctx, "--version"))
	if err != nil {
		return fmt.Errorf("ask QEMU for its version: %w", err)
	}
	return checkVersion(text)
}

var versionLine = regexp.MustCompile(`QEMU emulator version (\d+)\.(\d+)\.(\d+)`)

// checkVersion reads what `qemu-system-x86_64 --version` prints.
func checkVersion(text string) error {
	found := versionLine.FindStringSubmatch(text)
	if found == nil {
		return fmt.Errorf("read QEMU's version: no version in %q", text)
	}
	var v [3]int
	for i := range v {
		n, err := strconv.Atoi(found[i+1])
		if err != nil {
			return fmt.Errorf("read QEMU's version: %w", err)
		}
		v[i] = n
	}
	mend := "unset " + qemuEnv + " to use the one that `make lab` fetches, or name 10.0.13 or later"
	switch {
	case v[0] < 8:
		return fmt.Errorf("QEMU %d.%d.%d has no igb, the NIC with SR-IOV: %s", v[0], v[1], v[2], mend)
	case v == [3]int{10, 0, 2}:
		return fmt.Errorf("QEMU 10.0.2 does not map the registers of igb's VFs, so that they never get a carrier: %s", mend)
	}
	return nil
}
