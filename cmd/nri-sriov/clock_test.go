package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wallClock is what makes a decision depend on the time of day: a time that lost its monotonic reading, or that comes from
// a file or a text.
var wallClock = regexp.MustCompile(`\.(Unix|UnixNano|UnixMilli|UnixMicro|ModTime|UTC|Local)\(\)|\.Round\(0\)|` +
	`\btime\.(Parse|Date|Unix|UnixMilli)\(|\btime\.Time\s+` + "`json|\\.(Atim|Mtim|Ctim)\\b")

// TestNothingDependsOnTheWallClock: clocks jump, by NTP and by hand. All that waits or compares does it by the clock that
// does not. Where nothing depends on it, a comment says why.
func TestNothingDependsOnTheWallClock(t *testing.T) {
	t.Attr("fault", "36")
	files := 0
	for _, dir := range []string{".", "../../pkg"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			for number, line := range strings.Split(string(text), "\n") {
				code, why, _ := strings.Cut(line, "//")
				if found := wallClock.FindString(code); found != "" && !strings.Contains(why, "wall clock:") {
					t.Errorf("%s:%d: %s looks at the wall clock", path, number+1, found)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("%d files only", files)
	}
	for _, bad := range []string{"time.Now().Unix()", "info.ModTime()", "t.Round(0)", "time.Parse(x, y)", "At time.Time `json:\"at\"`"} {
		if !wallClock.MatchString(bad) {
			t.Errorf("%s would not be found", bad)
		}
	}
}
