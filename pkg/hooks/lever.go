package hooks

import (
	"regexp"
	"strconv"
)

// containerdName is what containerd says of itself in Configure.
const containerdName = "containerd"

// release is a released version of a runtime; early tells that it came before the release, as release candidates do.
type release struct {
	major, minor, patch int
	early               bool
}

// releaseForm is what builds of containerd call themselves: 2.3.2+unknown, v2.3.2, v2.2.0-rc.1, v2.2.5-12-g0123abc.m,
// 1.7.35~ds1, 2.1.4-k3s2. No number is longer than what an int holds.
var releaseForm = regexp.MustCompile(`^v?(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(?:([-+~])([0-9A-Za-z][0-9A-Za-z.+~-]*)|\.m)?$`)

var earlyForm = regexp.MustCompile(`^(alpha|beta|rc|dev)\b`)

// parseRelease reads a version strictly; what has another form is not known, and not 0.0.0.
func parseRelease(text string) (r release, known bool) {
	found := releaseForm.FindStringSubmatch(text)
	if found == nil {
		return release{}, false
	}
	for i, number := range []*int{&r.major, &r.minor, &r.patch} {
		var err error
		if *number, err = strconv.Atoi(found[i+1]); err != nil {
			return release{}, false
		}
	}
	r.early = found[4] != "+" && earlyForm.MatchString(found[5])
	return r, true
}

// before tells whether r came before the release of these numbers.
func (r release) before(major, minor, patch int) bool {
	switch {
	case r.major != major:
		return r.major < major
	case r.minor != minor:
		return r.minor < minor
	case r.patch != patch:
		return r.patch < patch
	}
	return r.early
}

// leaksRefused tells whether a runtime keeps the record and the pause task of a sandbox that a plugin refuses in
// RunPodSandbox, and does not start any more when the same pod has left two of them: containerd 2.0.0 to 2.2.5 and 2.3.0
// to 2.3.2, see https://github.com/containerd/containerd/issues/13609. Of what is not known it says no.
func leaksRefused(runtime, version string) bool {
	r, known := parseRelease(version)
	if runtime != containerdName || !known || r.major != 2 {
		return false
	}
	if r.minor <= 2 {
		return r.before(2, 2, 6)
	}
	return r.before(2, 3, 3)
}
