package dpdk

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// LoadModule runs modprobe for a module or driver, until the context ends. One that is loaded or built in is success. It
// is for start-up and for a person's command: it can take seconds, and a module's own start in the kernel cannot be
// called off.
func (h *Host) LoadModule(ctx context.Context, name string) error {
	if err := checkName("module", name); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, h.modprobe, "--", name)
	command.WaitDelay = time.Second // of a child of modprobe that keeps the output open
	output, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if said := strings.TrimSpace(string(output)); said != "" {
		return fmt.Errorf("load the module %s: %w: %s", name, err, said)
	}
	return fmt.Errorf("load the module %s: %w", name, err)
}
