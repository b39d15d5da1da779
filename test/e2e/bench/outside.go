package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"strconv"
	"strings"
)

// outsideRuns are the benchmarks that need no kernel: go test's arguments.
var outsideRuns = [][]string{
	{"./pkg/hooks", "^BenchmarkHooks$", "1000x"},
	{"./pkg/hooks", "^BenchmarkSynchronize$", "10x"},
	{"./pkg/hooks", "^BenchmarkPodWithoutRequest$", "3000x"},
	{"./cmd/nri-sriov", "^BenchmarkMemory$", "3x"},
}

// outside runs what needs no kernel on this machine.
func outside(ctx context.Context, to io.Writer) ([]figure, error) {
	all := map[string]float64{}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	for _, each := range outsideRuns {
		args := []string{"test", each[0], "-count=1", "-run", "^$", "-bench", each[1], "-benchtime", each[2]}
		fmt.Fprintf(to, "go %s\n", strings.Join(args, " "))
		command := exec.CommandContext(ctx, "go", args...)
		command.Dir = strings.TrimSpace(string(root))
		output, err := command.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("go %q: %w\n%s", args, err, output)
		}
		metrics, err := metricsOf(string(output))
		if err != nil {
			return nil, err
		}
		maps.Copy(all, metrics)
	}
	return outsideFigures(all)
}

// metricsOf reads the output of Go benchmarks: what each has measured, such as "BenchmarkHooks ns/op".
func metricsOf(output string) (map[string]float64, error) {
	metrics := map[string]float64{}
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := fields[0]
		if cut := strings.LastIndexByte(name, '-'); cut > 0 {
			name = name[:cut] // the number of CPUs
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("read the benchmark's line %q: %w", line, err)
			}
			metrics[name+" "+fields[i+1]] = value
		}
	}
	return metrics, nil
}

func outsideFigures(metrics map[string]float64) ([]figure, error) {
	var figures []figure
	for _, each := range []struct {
		what, metric string
		scale        float64
		unit         string
		aim          float64
	}{
		{"RunPodSandbox, p99, no kernel work", "BenchmarkHooks RunPodSandbox-p99-µs", 1000, " ms", 1},
		{"StopPodSandbox, p99, no kernel work", "BenchmarkHooks StopPodSandbox-p99-µs", 1000, " ms", 1},
		{"Synchronize with 500 sandboxes, p50", "BenchmarkSynchronize Synchronize-p50-µs", 1000, " ms", 500},
		{"pod without a request: added over NRI, p50", "BenchmarkPodWithoutRequest/NRI added-p50-µs", 1, " µs", 50},
		{"pod without a request: in the handlers", "BenchmarkPodWithoutRequest/Handlers ns/op", 1000, " µs", 50},
		{"pod without a request: allocations", "BenchmarkPodWithoutRequest/Handlers allocs/op", 1, "", 0},
		{"resident memory with 500 sandboxes", "BenchmarkMemory/500 RSS-MB", 1, " MB", 40},
	} {
		measured, ok := metrics[each.metric]
		if !ok {
			return nil, fmt.Errorf("no benchmark has measured %s", each.metric)
		}
		figures = append(figures, figure{what: each.what, value: value{at: measured / each.scale}, unit: each.unit, aim: each.aim})
	}
	return figures, nil
}
