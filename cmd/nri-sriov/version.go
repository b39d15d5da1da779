package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "devel"

func newVersion() *cobra.Command {
	var output outputFlag
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			v := map[string]string{"version": version, "go": runtime.Version(), "nri": moduleVersion("github.com/containerd/nri")}
			return output.print(cmd.OutOrStdout(), v, func() string {
				return fmt.Sprintf("nri-sriov %s (nri %s, %s)\n", v["version"], v["nri"], v["go"])
			})
		}),
	}
	output.add(cmd, "text", "json")
	return cmd
}

func moduleVersion(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, one := range info.Deps {
		if one.Path == module {
			return one.Version
		}
	}
	return "unknown"
}
