// Command faults runs the tests that prove rows of the fault matrix, and prints the matrix with what they counted. With a
// file as its argument it also writes the table there, between the lines that mark it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/nri-sriov/nri-sriov/test/e2e/faults"
)

// labTests are those of the lab that have rows of the matrix.
const labTests = "^(TestFaults|TestReboot|TestDisk|TestKilledAtEachStep|TestRestart|TestSettings|TestNetdev|TestPlacement|TestDPDK|TestSoak)$"

// The lines between which the table stands in a document.
const begins, ends = "<!-- faults: begin -->", "<!-- faults: end -->"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "faults: it takes one argument at most, the document to write the table to")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, documents []string) error {
	var proofs []faults.Proof
	var failed error
	for _, args := range [][]string{
		{"./pkg/...", "./cmd/..."},
		{"-timeout", "150m", "-parallel", "2", "-run", labTests, "./test/e2e/"},
	} {
		found, err := tests(ctx, args)
		proofs, failed = append(proofs, found...), errors.Join(failed, err)
	}
	var table strings.Builder
	unproved := faults.Table(&table, proofs)
	fmt.Print(table.String())
	for _, name := range documents {
		if err := write(name, table.String()); err != nil {
			return err
		}
	}
	if len(unproved) > 0 {
		return errors.Join(failed, fmt.Errorf("rows that were not shown: %v", unproved))
	}
	return failed
}

// tests runs some, and answers what they prove.
func tests(ctx context.Context, args []string) ([]faults.Proof, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-json"}, args...)...)
	command.Env = append(os.Environ(), "NRI_SRIOV_LAB=1", "NRI_SRIOV_LAB_LONG=1", "NRI_SRIOV_REQUIRE_KERNEL=1")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	proofs, err := faults.Read(output, os.Stderr)
	if err != nil {
		_, _ = io.Copy(io.Discard, output) // so that it ends
	}
	if ended := command.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("go test %s: %w", strings.Join(args, " "), ended))
	}
	return proofs, err
}

// write puts the table in its place in a document.
func write(name, table string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, begun := bytes.Cut(text, []byte(begins))
	_, after, ended := bytes.Cut(rest, []byte(ends))
	if !begun || !ended {
		return fmt.Errorf("%s lacks the lines %q and %q", name, begins, ends)
	}
	written := string(before) + begins + "\n\n" + table + "\n" + ends + string(after)
	return os.WriteFile(name, []byte(written), 0o644)
}
