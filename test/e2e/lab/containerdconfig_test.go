package lab

import (
	"strings"
	"testing"
	"time"
)

// TestConfigurationOfVersions: each containerd gets the names that it knows, and none of another's.
func TestConfigurationOfVersions(t *testing.T) {
	const oldest, first, newer = "1.7.35", "2.0.14", "2.4.2"
	lines := map[string][]string{
		"version = 2": {oldest}, "version = 3": {first, newer},
		`sandbox_image = "` + Image + `"`: {oldest}, `pinned_images = {sandbox = "` + Image + `"}`: {first, newer},
		`bin_dir = "` + cniDir + `"`: {oldest, first}, `bin_dirs = ["` + cniDir + `"]`: {newer},
		`[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes."runc"]`:     {oldest},
		`[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes."other"]`:    {oldest},
		`[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes."other"]`: {first, newer},
		"[plugins.'io.containerd.nri.v1.nri']":                                 {oldest, first, newer},
		"disable = false":                                                      {oldest, first, newer},
		`plugin_request_timeout = "3s"`:                                        {oldest, first, newer},
		`imports = ["/etc/a.toml"]`:                                            {oldest, first, newer},
	}
	for _, text := range []string{oldest, first, newer} {
		version, err := parseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		c := &Containerd{guest: &Guest{containerd: version}, options: ContainerdOptions{
			Handlers: []string{"other"}, RequestTimeout: 3 * time.Second, Imports: []string{"/etc/a.toml"},
		}}
		have := "\n" + c.configuration()
		for line, versions := range lines {
			want := strings.Contains(strings.Join(versions, " "), text)
			if got := strings.Contains(have, "\n"+line+"\n"); got != want {
				t.Errorf("containerd %s: the line %s is there: %t, wanted %t in\n%s", text, line, got, want, have)
			}
		}
	}
}
