package lab

import (
	"fmt"
	"strings"
)

// ContainerdVersion is the version of the guest's containerd.
func (g *Guest) ContainerdVersion() Version { return g.containerd }

// configuration is the file of this containerd: up to 1.7 it has version 2, where one plugin is all of CRI.
func (c *Containerd) configuration() string {
	var text strings.Builder
	version := c.guest.containerd
	if version.AtLeast(2, 0) {
		text.WriteString("version = 3\n")
	} else {
		text.WriteString("version = 2\n")
	}
	if len(c.options.Imports) > 0 {
		fmt.Fprintf(&text, "imports = [\"%s\"]\n", strings.Join(c.options.Imports, `", "`))
	}
	fmt.Fprintf(&text, `root = %q
state = %q

[grpc]
address = %q

[debug]
level = "debug"
`, c.root, c.state, ContainerdSocket)
	runtime := "io.containerd.cri.v1.runtime"
	if version.AtLeast(2, 0) {
		fmt.Fprintf(&text, `
[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"
pinned_images = {sandbox = %q}
`, Image)
	} else {
		runtime = "io.containerd.grpc.v1.cri"
		fmt.Fprintf(&text, `
[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = %q
`, Image)
	}
	binaries := fmt.Sprintf("bin_dirs = [%q]", cniDir)
	if !version.AtLeast(2, 1) {
		binaries = fmt.Sprintf("bin_dir = %q", cniDir)
	}
	fmt.Fprintf(&text, `
[plugins.'%s'.cni]
%s
conf_dir = "/etc/cni/net.d"
`, runtime, binaries)
	for _, handler := range append([]string{"runc"}, c.options.Handlers...) {
		fmt.Fprintf(&text, `
[plugins.'%s'.containerd.runtimes.%q]
runtime_type = "io.containerd.runc.v2"
options = {SystemdCgroup = false}
`, runtime, handler)
	}
	fmt.Fprintf(&text, `
[plugins.'io.containerd.nri.v1.nri']
disable = %t
socket_path = %q
plugin_path = %q
plugin_config_path = %q
`, c.options.NRIDisabled, NRISocket, NRIPlugins, NRIConfigs)
	if c.options.RequestTimeout != 0 {
		fmt.Fprintf(&text, "plugin_request_timeout = %q\n", c.options.RequestTimeout)
	}
	return text.String() + c.options.Config
}
