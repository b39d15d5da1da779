package lab

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// containerdEnv names the version of containerd of guests that say none.
const containerdEnv = "NRI_SRIOV_LAB_CONTAINERD"

// Version is a version of containerd.
type Version struct {
	Major, Minor, Patch int
	text                string // without a leading v
}

// versionForm is what the Go module proxy has containerd's releases as.
var versionForm = regexp.MustCompile(`^v?((0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(?:-(?:alpha|beta|rc)\.\d+)?)$`)

func parseVersion(text string) (Version, error) {
	found := versionForm.FindStringSubmatch(text)
	if found == nil {
		return Version{}, fmt.Errorf("containerd %q is no version of it, such as 1.7.35", text)
	}
	version := Version{text: found[1]}
	for i, number := range []*int{&version.Major, &version.Minor, &version.Patch} {
		var err error
		if *number, err = strconv.Atoi(found[i+2]); err != nil {
			return Version{}, fmt.Errorf("containerd %q: %w", text, err)
		}
	}
	return version, nil
}

// String is the version without a leading v.
func (v Version) String() string { return v.text }

// AtLeast tells whether it is of this minor version or a later one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// module is the Go module that has this version.
func (v Version) module() string {
	if v.Major < 2 {
		return "github.com/containerd/containerd"
	}
	return fmt.Sprintf("github.com/containerd/containerd/v%d", v.Major)
}

// containerdTools are the tools modules that pin a containerd; the first is of guests that say no version.
var containerdTools = []string{"containerd", "containerd-1.7"}

// containerdSource is where a containerd is built from.
type containerdSource struct {
	version Version
	tools   string // the folder of the tools module that pins it, "" when one is to be made
}

// pin is the line of a go.mod that names containerd's version.
var pin = regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/containerd/containerd(?:/v\d+)? (v\S+)`)

// containerd finds the tools module of a version; "" is the one that the environment names, or else the first.
func (s source) containerd(asked string) (containerdSource, error) {
	var wanted Version
	var err error
	if asked = cmp.Or(asked, os.Getenv(containerdEnv)); asked != "" {
		if wanted, err = parseVersion(asked); err != nil {
			return containerdSource{}, err
		}
	}
	for _, name := range containerdTools {
		text, err := os.ReadFile(filepath.Join(s.tools(name), "go.mod"))
		if err != nil {
			return containerdSource{}, fmt.Errorf("read the pins of %s: %w", name, err)
		}
		found := pin.FindSubmatch(text)
		if found == nil {
			return containerdSource{}, fmt.Errorf("the tools module %s pins no containerd", name)
		}
		pinned, err := parseVersion(string(found[1]))
		if err != nil {
			return containerdSource{}, fmt.Errorf("read the pins of %s: %w", name, err)
		}
		if asked == "" || pinned == wanted {
			return containerdSource{version: pinned, tools: s.tools(name)}, nil
		}
	}
	return containerdSource{version: wanted}, nil
}

// containerd is the folder with a containerd, its shim and ctr.
func (c *cache) containerd(ctx context.Context, src source, from containerdSource) (string, error) {
	module := from.tools
	if module == "" {
		var err error
		module, err = c.artefact("pins-containerd", key(recipe, from.version.text), func(dir string) error {
			return src.pinContainerd(ctx, from.version, dir)
		})
		if err != nil {
			return "", err
		}
	}
	return c.tools(ctx, src, "containerd", module)
}

// pinContainerd makes a tools module for a version, with the other modules that this version asks for itself.
func (s source) pinContainerd(ctx context.Context, version Version, dir string) error {
	get := []string{"get", "-tool"}
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		get = append(get, fmt.Sprintf("%s/cmd/%s@v%s", version.module(), name, version))
	}
	for _, args := range [][]string{{"mod", "init", "lab/containerd"}, get} {
		if _, err := run(s.goTool(ctx, dir, args...)); err != nil {
			return fmt.Errorf("pin containerd %s: %w", version, err)
		}
	}
	return nil
}
