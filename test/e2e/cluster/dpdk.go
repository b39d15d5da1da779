package cluster

import (
	"fmt"
	"strings"

	"github.com/nri-sriov/nri-sriov/test/e2e/testpmd"
)

// DPDKPod is a pod that asks for one VF of a network and answers ARP and ping on it for every address, with dpdk-testpmd
// from the node's own files. The kubelet allows a pod the huge pages that it asks for, and no others.
func DPDKPod(name, node, network string) Pod {
	variable := "$PCIDEVICE_SRIOV_NRI_IO_" + strings.ToUpper(network)
	container := testpmd.Container(testpmd.Options{Devices: []string{variable}, Mode: testpmd.Echo})
	return Pod{
		Name: name, Node: node, Devices: map[string]int{network: 1}, Container: container,
		Resources: map[string]string{"hugepages-2Mi": fmt.Sprintf("%dMi", 2*testpmd.Pages), "memory": "256Mi", "cpu": "1"},
	}
}
