package configs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const unitFile = "systemd/nri-sriov.service"

// directive is a line of a unit.
type directive struct{ section, name, value string }

// readUnit reads the unit as systemd does, which ignores what it does not know with a warning only. The unit has no
// continued lines.
func readUnit(t *testing.T, text string) []directive {
	t.Helper()
	var directives []directive
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = line
		default:
			name, value, ok := strings.Cut(line, "=")
			if !ok || strings.HasSuffix(value, `\`) || !slices.Contains(known[section], name) {
				t.Errorf("%s: line %q has no directive that is known there", section, line)
			}
			directives = append(directives, directive{section, name, value})
		}
	}
	return directives
}

// known are the directives that the unit may have, by section.
var known = map[string][]string{
	"[Unit]": {"Description", "Documentation", "After", "Before", "StartLimitIntervalSec"},
	"[Service]": {
		"Type", "ExecStartPre", "ExecStart", "ExecReload", "Restart", "RestartSec", "TimeoutStopSec", "KillMode", "Nice", "OOMScoreAdjust",
		"RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve", "StateDirectory", "StateDirectoryMode",
		"CapabilityBoundingSet", "NoNewPrivileges", "RestrictAddressFamilies", "RestrictNamespaces", "LockPersonality",
		"MemoryDenyWriteExecute", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "RestrictRealtime",
		"RestrictSUIDSGID", "KeyringMode", "DevicePolicy", "DeviceAllow", "ProtectSystem", "ReadWritePaths", "ProtectHome",
		"PrivateTmp", "PrivateIPC", "ReadOnlyPaths", "ProtectKernelLogs", "ProtectClock", "ProtectHostname",
	},
	"[Install]": {"WantedBy"},
}

func unit(t *testing.T) []directive {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	return readUnit(t, string(text))
}

// values are those of a directive, one per line of the unit that has it.
func values(directives []directive, name string) []string {
	var values []string
	for _, one := range directives {
		if one.name == name {
			values = append(values, one.value)
		}
	}
	return values
}

func TestSystemdUnit(t *testing.T) {
	directives := unit(t)
	for name, want := range map[string]string{
		"ExecStart": "/usr/local/bin/nri-sriov run", "Restart": "always", "StartLimitIntervalSec": "0", "KillMode": "mixed",
		"RuntimeDirectory": "nri-sriov", "RuntimeDirectoryPreserve": "yes", "StateDirectory": "nri-sriov", "WantedBy": "multi-user.target",
	} {
		if got := values(directives, name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, wanted %q", name, got, want)
		}
	}
}

// TestUnitLimits holds the unit's limits where they are: whoever gives the daemon another right changes this test and
// docs/security.md with it.
func TestUnitLimits(t *testing.T) {
	directives := unit(t)
	for name, want := range map[string][]string{
		"CapabilityBoundingSet":   {strings.Join(allowed, " ")},
		"NoNewPrivileges":         {"yes"},
		"RestrictAddressFamilies": {"AF_UNIX AF_NETLINK AF_INET AF_INET6 AF_PACKET"},
		"RestrictNamespaces":      {"net"},
		"SystemCallFilter":        {"@system-service", "~@aio @keyring @memlock"},
		"SystemCallErrorNumber":   {"EPERM"},
		"SystemCallArchitectures": {"native"},
		"LockPersonality":         {"yes"},
		"MemoryDenyWriteExecute":  {"yes"},
		"RestrictRealtime":        {"yes"},
		"RestrictSUIDSGID":        {"yes"},
		"KeyringMode":             {"private"},
		"DevicePolicy":            {"closed"},
		"DeviceAllow":             {"char-* rw"},
		"ProtectSystem":           {"strict"},
		"ReadWritePaths":          {"-/var/lib/cni"},
		"ProtectHome":             {"yes"},
		"PrivateTmp":              {"yes"},
		"PrivateIPC":              {"yes"},
		"ReadOnlyPaths":           {"/sys/fs/cgroup"},
		"ProtectKernelLogs":       {"yes"},
		"ProtectClock":            {"yes"},
		"ProtectHostname":         {"yes"},
	} {
		if got := values(directives, name); !slices.Equal(got, want) {
			t.Errorf("%s is %q, wanted %q", name, got, want)
		}
	}
	// What these take away the daemon needs: sysfs and /proc/sys, the host's network, the nodes of vfio, uid 0 of the host,
	// the processes that hold a device. An ambient capability would reach programs that are not the daemon's user's.
	for _, name := range []string{
		"ProtectKernelTunables", "PrivateNetwork", "PrivateDevices", "PrivateUsers", "User", "ProtectProc", "ProcSubset", "AmbientCapabilities",
	} {
		if got := values(directives, name); len(got) > 0 {
			t.Errorf("the unit has %s=%s", name, got)
		}
	}
}

// allowed are the capabilities that the daemon may have. Each has its row in docs/security.md.
var allowed = []string{"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"}

// TestCapabilitiesAreDocumented: the document names what needs each capability, and no other capability.
func TestCapabilitiesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(CAP_[A-Z_]+)` \\| .{20}").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1])
	}
	want := slices.Sorted(slices.Values(allowed))
	slices.Sort(documented)
	if !slices.Equal(documented, want) {
		t.Errorf("docs/security.md explains %q, the unit may have %q", documented, want)
	}
}
