package k8s

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// testMetrics: the daemon in the cluster serves every metric that the docs name, with what is so.
func testMetrics(s *subject) {
	n := s.labNode(s.node(0))
	docs, err := os.ReadFile("../../../docs/metrics.md")
	s.must(err)
	names := regexp.MustCompile("(?m)^\\| `(nri_sriov_[a-z_]+)`").FindAllStringSubmatch(string(docs), -1)
	if len(names) < 20 {
		s.Fatalf("the docs name %d metrics", len(names))
	}
	s.eventually(time.Minute, func(ctx context.Context) error {
		output, err := n.Shell(ctx, "wget -qO- http://127.0.0.1:9808/metrics")
		if err != nil {
			return err
		}
		for _, name := range names {
			if !strings.Contains(output.Stdout, "# TYPE "+name[1]+" ") {
				err = errors.Join(err, fmt.Errorf("%s is not served", name[1]))
			}
		}
		for _, line := range []string{
			"nri_sriov_nri_connected 1",
			`nri_sriov_kubelet_registered{resource="sriov.nri.io/public"} 1`,
			fmt.Sprintf(`nri_sriov_kubelet_devices{health="healthy",resource="sriov.nri.io/public"} %d`, many),
			fmt.Sprintf(`nri_sriov_vfs{pf="pf0",state="free"} %d`, many),
		} {
			if !strings.Contains(output.Stdout, line+"\n") {
				err = errors.Join(err, fmt.Errorf("there is no line %s", line))
			}
		}
		return err
	})
}
