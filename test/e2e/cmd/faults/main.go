// Command faults runs the tests that prove rows of the fault matrix, and prints the matrix with what they counted. With a
// file as its argument it also writes the table there, between the lines that mark it. With -run it runs these tests of the
// lab only, and keeps what the last run has said of the others.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nri-sriov/nri-sriov/test/e2e/faults"
)

// labTests are those of the lab that have rows of the matrix.
const labTests = "^(TestFaults|TestReboot|TestDisk|TestKilledAtEachStep|TestRestart|TestSettings|TestNetdev|TestPlacement|TestDPDK|TestSoak)$"

// The lines between which the table stands in a document.
const begins, ends = "<!-- faults: begin -->", "<!-- faults: end -->"

// record holds what all tests have said since the last whole run, as `go test -json` prints it.
const record = "bin/faults.json"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	some := flag.String("run", "", "run only the tests of the lab that match this, as go test -run does")
	flag.Parse()
	if flag.NArg() > 1 {
		fmt.Fprintln(os.Stderr, "faults: it takes one argument at most, the document to write the table to")
		os.Exit(2)
	}
	if err := run(ctx, *some, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, some string, documents []string) error {
	mode, runs := os.O_TRUNC, [][]string{{"./pkg/...", "./cmd/..."}}
	if some != "" {
		mode, runs = os.O_APPEND, nil
	}
	runs = append(runs, []string{"-timeout", "150m", "-parallel", "2", "-run", cmp.Or(some, labTests), "./test/e2e/"})
	if err := os.MkdirAll(filepath.Dir(record), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(record, os.O_CREATE|os.O_RDWR|mode, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	var failed error
	for _, args := range runs {
		failed = errors.Join(failed, tests(ctx, args, log))
	}
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return err
	}
	proofs, err := faults.Read(log, io.Discard)
	if err != nil {
		return err
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

// tests runs some, shows which are over, and writes down all that they say.
func tests(ctx context.Context, args []string, log io.Writer) error {
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-json"}, args...)...)
	command.Env = append(os.Environ(), "NRI_SRIOV_LAB=1", "NRI_SRIOV_LAB_LONG=1", "NRI_SRIOV_REQUIRE_KERNEL=1")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	said := io.TeeReader(output, log)
	_, err = faults.Read(said, os.Stderr)
	if err != nil {
		_, _ = io.Copy(io.Discard, said) // so that it ends
	}
	if ended := command.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("go test %s: %w", strings.Join(args, " "), ended))
	}
	return err
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
