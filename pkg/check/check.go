package check

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/pkg/config"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// Status is how a finding weighs.
type Status string

// A Warning can be lived with; after a Failure pods do not get their VFs.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failure Status = "failure"
)

// Finding is one line of the check.
type Finding struct {
	Status  Status `json:"status"`
	Subject string `json:"subject"`
	Message string `json:"message"`
	// Mend says what to do.
	Mend string `json:"mend,omitempty"`
}

// Paths are what is looked at.
type Paths struct {
	Config, Sysfs, NRISocket, ContainerdConfig string
	// Dev is the folder of the host's device nodes; empty is /dev.
	Dev string
	// Remembered is what the daemon has written down, without which VFs that pods have look like somebody else's.
	Remembered inventory.Remembered
}

// Node looks at the node.
func Node(paths Paths) []Finding {
	node, findings := checkConfig(paths.Config)
	findings = append(findings, checkKernel(osRelease))
	findings = append(findings, checkHardware(paths, node)...)
	findings = append(findings, checkSocket(paths.NRISocket))
	return append(findings, checkContainerd(paths.ContainerdConfig)...)
}

// Failed tells whether a finding is a failure.
func Failed(findings []Finding) bool {
	for _, one := range findings {
		if one.Status == Failure {
			return true
		}
	}
	return false
}

func checkConfig(path string) (*config.Node, []Finding) {
	node, err := config.Load(path)
	if err != nil {
		return nil, []Finding{{Failure, "config", err.Error(), "correct the file; the daemon does not start with it"}}
	}
	var names []string
	for _, one := range node.Networks {
		names = append(names, one.Name)
	}
	message := fmt.Sprintf("%s is valid; networks: %s", path, strings.Join(names, ", "))
	if node.Source == "" {
		message = fmt.Sprintf("%s does not exist: every PF that has VFs is offered, in the network %q", path, names[0])
	}
	return node, []Finding{{OK, "config", message, ""}}
}

func checkHardware(paths Paths, node *config.Node) []Finding {
	host, err := vf.OpenHost(paths.Sysfs)
	if err != nil {
		return []Finding{{Failure, "sysfs", err.Error(), "mount sysfs, or say --sysfs"}}
	}
	defer host.Close()
	if node == nil {
		node = config.Default()
	}
	providers, missing, err := inventory.Read(host, node, paths.Remembered)
	if err != nil {
		return []Finding{{Failure, "PFs", err.Error(), "run as root, on the node and not in a container's network namespace"}}
	}
	var findings []Finding
	for _, name := range missing {
		findings = append(findings, Finding{Failure, "PF " + name, "the config offers it, but this node has no such PF with SR-IOV",
			"correct providers in the config, or the BIOS setting for SR-IOV"})
	}
	for _, one := range providers {
		findings = append(findings, checkProvider(one)...)
	}
	if len(providers) == 0 {
		findings = append(findings, Finding{Failure, "PFs", "this machine has no NIC with SR-IOV (no PCI device in sysfs has sriov_totalvfs)",
			"use a NIC with SR-IOV and turn it on in the BIOS and the NIC's firmware; to try without: make demo"})
	}
	return append(findings, checkDevices(paths, node, providers)...)
}

func checkProvider(one *inventory.Provider) []Finding {
	subject := "PF " + one.PF.Name()
	if one.Reason != "" {
		return []Finding{{Warning, subject, "is not offered: it " + one.Reason, "see providers in the config"}}
	}
	total := 0
	var findings []Finding
	for _, each := range one.VFs {
		if each.State == inventory.Excluded {
			findings = append(findings, Finding{Warning, fmt.Sprintf("VF %d of %s", each.ID, one.PF.Name()), each.Address.String() + " " + each.Reason, ""})
			continue
		}
		total++
	}
	message := fmt.Sprintf("%s, driver %s, offers %d of its %d VFs", one.PF.Address, one.PF.Driver, total, one.PF.NumVFs)
	return append([]Finding{{OK, subject, message, ""}}, findings...)
}

func checkSocket(path string) Finding {
	connection, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		return Finding{OK, "NRI socket", path + " answers", errorText(connection.Close())}
	case errors.Is(err, fs.ErrNotExist):
		return Finding{Failure, "NRI socket", path + " does not exist", "start containerd with NRI on (see the next line), or say --nri-socket"}
	case errors.Is(err, os.ErrPermission):
		return Finding{Failure, "NRI socket", path + " may not be used by this user", "run as root"}
	}
	return Finding{Failure, "NRI socket", fmt.Sprintf("%s: %v", path, err), "is containerd running?"}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
