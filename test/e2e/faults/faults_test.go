package faults

import (
	"slices"
	"strings"
	"testing"
)

const printed = `# a build that fails
{"Action":"run","Package":"m/test/e2e","Test":"TestB"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestB/Old","Key":"fault","Value":"2"}
{"Action":"fail","Package":"m/test/e2e","Test":"TestB/Old"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestB/C","Key":"fault","Value":"1"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestB/C","Key":"lost","Value":"1"}
{"Action":"fail","Package":"m/test/e2e","Test":"TestB/C"}
{"Action":"run","Package":"m/test/e2e","Test":"TestB"}
{"Action":"attr","Package":"m/pkg/vf","Test":"TestA","Key":"fault","Value":"10, 15"}
{"Action":"attr","Package":"m/pkg/vf","Test":"TestA","Key":"other","Value":"x"}
{"Action":"pass","Package":"m/pkg/vf","Test":"TestA"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestB/C","Key":"fault","Value":"1"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestB/C","Key":"injected","Value":"12"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestB/C","Key":"converge","Value":"1.5s"}
{"Action":"pass","Package":"m/test/e2e","Test":"TestB/C"}
{"Action":"attr","Package":"m/pkg/vf","Test":"TestD","Key":"fault","Value":"2"}
{"Action":"pass","Package":"m/pkg/vf","Test":"TestD"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestE","Key":"fault","Value":"3"}
{"Action":"attr","Package":"m/test/e2e","Test":"TestE","Key":"lost","Value":"1"}
{"Action":"pass","Package":"m/test/e2e","Test":"TestE"}
{"Action":"attr","Package":"m/pkg/vf","Test":"TestF","Key":"fault","Value":"6"}
{"Action":"skip","Package":"m/pkg/vf","Test":"TestF"}
{"Action":"attr","Package":"m/pkg/vf","Test":"TestG","Key":"fault","Value":"17"}
`

func TestTable(t *testing.T) {
	var progress, table strings.Builder
	proofs, err := Read(strings.NewReader(printed), &progress)
	if err != nil || len(proofs) != 6 || !strings.Contains(progress.String(), "# a build that fails") {
		t.Fatalf("%+v, %v, %s", proofs, err, progress.String())
	}
	unproved := Table(&table, proofs)
	// Row 2 lacks a test in the lab, 3 lost a VF, 6 was skipped, 17 never ended.
	for _, row := range Matrix {
		if want := !slices.Contains([]int{1, 10, 15}, row.Number); slices.Contains(unproved, row.Number) != want {
			t.Errorf("row %d is unproved: %t", row.Number, !want)
		}
	}
	if !strings.Contains(table.String(), "| 12 | 0 | 0 | 0 | 1.5s | TestB/C |") || !strings.Contains(table.String(), "**TestF: skip**") {
		t.Error(table.String())
	}
}

func TestReadRefuses(t *testing.T) {
	for _, attribute := range []string{`"fault","Value":"37"`, `"fault","Value":"x"`, `"injected","Value":"many"`, `"converge","Value":"1"`} {
		text := `{"Action":"attr","Package":"p","Test":"T","Key":` + attribute + `}`
		if proofs, err := Read(strings.NewReader(text), &strings.Builder{}); err == nil {
			t.Errorf("%s: %+v", attribute, proofs)
		}
	}
}

func TestMatrix(t *testing.T) {
	for i, row := range Matrix {
		if row.Number != i+1 || row.Fault == "" || row.Outcome == "" {
			t.Errorf("row %d: %+v", i+1, row)
		}
	}
	if len(Matrix) != 36 {
		t.Errorf("%d rows", len(Matrix))
	}
}
