package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	"github.com/nri-sriov/nri-sriov/pkg/attach"
	"github.com/nri-sriov/nri-sriov/pkg/hooks"
	"github.com/nri-sriov/nri-sriov/pkg/inventory"
	"github.com/sirupsen/logrus"
)

var descForm = regexp.MustCompile(`fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)".*variableLabels: \{([^}]*)\}`)

// ourMetrics are those that the daemon serves, with labels and help, from its own registry.
func ourMetrics(t *testing.T) map[string][2]string {
	t.Helper()
	pool := inventory.NewPool(nil)
	registry := registryOf(collector{
		pool: pool, attacher: attach.New(t.Context(), attach.Options{Pool: pool}), drift: &drift{}, plugin: hooks.New(logrus.New(), nil),
		storage: store(t, t.TempDir(), t.TempDir()),
	}, newMeters())
	descs := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descs)
		close(descs)
	}()
	metrics := map[string][2]string{}
	for desc := range descs {
		if found := descForm.FindStringSubmatch(desc.String()); found != nil && strings.HasPrefix(found[1], "nri_sriov_") {
			metrics[found[1]] = [2]string{found[3], strings.ReplaceAll(found[2], `\"`, `"`)}
		}
	}
	if len(metrics) < 20 {
		t.Fatalf("%d metrics only: %v", len(metrics), metrics)
	}
	return metrics
}

// TestMetricsAreDocumented: the table in the docs is what the registry says. On failure it prints the table.
func TestMetricsAreDocumented(t *testing.T) {
	var rows []string
	for name, one := range ourMetrics(t) {
		labels := ""
		if one[0] != "" {
			labels = "`" + strings.ReplaceAll(one[0], ",", "`, `") + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", name, labels, one[1]))
	}
	slices.Sort(rows)
	table := "| metric | labels | what it says |\n| --- | --- | --- |\n" + strings.Join(rows, "\n") + "\n"
	text, err := os.ReadFile("../../docs/metrics.md")
	mustDo(t, err)
	if !strings.Contains(string(text), table) {
		t.Errorf("docs/metrics.md lacks this table:\n%s", table)
	}
}

var metricForm = regexp.MustCompile(`\bnri_sriov_[a-z_]+`)

// unknownMetrics are names in queries that the daemon does not serve.
func unknownMetrics(metrics map[string][2]string, queries string) (unknown []string, known int) {
	for _, name := range metricForm.FindAllString(queries, -1) {
		base := name
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			base = strings.TrimSuffix(base, suffix)
		}
		_, whole := metrics[name]
		if _, part := metrics[base]; !whole && !part {
			unknown = append(unknown, name)
		} else {
			known++
		}
	}
	return unknown, known
}

// TestDashboardAndAlerts: each metric that they ask for is one that the daemon serves, and each alert is explained.
func TestDashboardAndAlerts(t *testing.T) {
	metrics := ourMetrics(t)
	if unknown, _ := unknownMetrics(metrics, `rate(nri_sriov_none_total[1m]) + nri_sriov_vfs_count_x`); len(unknown) != 2 {
		t.Errorf("what is unknown is not found: %v", unknown)
	}
	dashboard, err := os.ReadFile("../../configs/grafana/nri-sriov.json")
	mustDo(t, err)
	var board struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	mustDo(t, json.Unmarshal(dashboard, &board))
	ids := map[int]bool{}
	for _, panel := range board.Panels {
		if ids[panel.ID] || len(panel.Targets) == 0 {
			t.Errorf("panel %d %q has no query, or the number of another", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			if unknown, known := unknownMetrics(metrics, target.Expr); len(unknown) > 0 || known == 0 {
				t.Errorf("panel %q asks for %v in %s", panel.Title, unknown, target.Expr)
			}
		}
	}
	rules, err := os.ReadFile("../../configs/prometheus/rules.yaml")
	mustDo(t, err)
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	mustDo(t, yaml.UnmarshalStrict(rules, &file))
	operations, err := os.ReadFile("../../docs/operations.md")
	mustDo(t, err)
	for _, rule := range file.Groups[0].Rules {
		if unknown, known := unknownMetrics(metrics, rule.Expr); len(unknown) > 0 || known == 0 {
			t.Errorf("alert %s asks for %v in %s", rule.Alert, unknown, rule.Expr)
		}
		if !strings.Contains(string(operations), "`"+rule.Alert+"`") {
			t.Errorf("docs/operations.md does not explain %s", rule.Alert)
		}
	}
	if len(board.Panels) < 10 || len(file.Groups[0].Rules) < 5 {
		t.Error("something is missing")
	}
}

// TestReasonsAreExplained: each reason of an Event has its mend in the docs.
func TestReasonsAreExplained(t *testing.T) {
	operations, err := os.ReadFile("../../docs/operations.md")
	mustDo(t, err)
	for _, reason := range eventReasons() {
		if !strings.Contains(string(operations), "| `"+reason+"` |") {
			t.Errorf("docs/operations.md does not explain %s", reason)
		}
	}
}

// eventReasons are all that an Event may have.
func eventReasons() []string {
	source, err := os.ReadFile("../../pkg/kube/report/reporter.go")
	if err != nil {
		panic(err)
	}
	var reasons []string
	for _, reason := range hooks.Reasons() {
		reasons = append(reasons, string(reason))
	}
	block, _, _ := strings.Cut(string(source), "// StatusKind")
	for _, found := range regexp.MustCompile(`= "([A-Z][A-Za-z]+)"`).FindAllStringSubmatch(block, -1) {
		reasons = append(reasons, found[1])
	}
	return reasons
}
