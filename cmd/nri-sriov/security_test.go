package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declaredTests are all tests and fuzz targets below a folder, by package folder and name, such as vf.TestMarks.
func declaredTests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, one := range file.Decls {
			if f, ok := one.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				tests[filepath.Base(filepath.Dir(path))+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestNamedTestsAreThere: each row of the table of attacks names tests, and they exist.
func TestNamedTestsAreThere(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := declaredTests(t, "../../pkg")
	named := regexp.MustCompile("`([a-z0-9]+\\.(?:Test|Fuzz)[A-Za-z0-9_]+)`")
	rows := 0
	_, table, _ := strings.Cut(string(text), "\n| attack | guard | tests |\n| --- | --- | --- |\n")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || strings.TrimSpace(cells[1]) == "" || !named.MatchString(cells[2]) {
			t.Errorf("an attack without guard or test: %s", line)
			continue
		}
		for _, found := range named.FindAllStringSubmatch(cells[2], -1) {
			if !tests[found[1]] {
				t.Errorf("there is no test %s", found[1])
			}
		}
	}
	if rows < 25 {
		t.Errorf("the table has %d rows of attacks", rows)
	}
}
