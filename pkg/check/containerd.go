package check

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// nriPlugin is the key of containerd's NRI settings; see containerd's docs/NRI.md.
const nriPlugin = "io.containerd.nri.v1.nri"

const subjectContainerd = "containerd's NRI"

// containerdConfig is the part of containerd's config that matters here.
type containerdConfig struct {
	Version int                   `toml:"version"`
	Imports []string              `toml:"imports"`
	Plugins map[string]pluginTOML `toml:"plugins"`
}

type pluginTOML struct {
	Disable            *bool          `toml:"disable"`
	DisableConnections *bool          `toml:"disable_connections"`
	RequestTimeout     string         `toml:"plugin_request_timeout"`
	Validator          *validatorTOML `toml:"default_validator"`
}

type validatorTOML struct {
	Enable          bool     `toml:"enable"`
	RequiredPlugins []string `toml:"required_plugins"`
	Tolerate        string   `toml:"tolerate_missing_plugins_annotation"`
}

// tolerate is the annotation of pods that start without the required plugins, as the DaemonSet's own have it. containerd
// knows none by itself.
const tolerate = "tolerate-missing-plugins.noderesource.dev"

func checkContainerd(path string) []Finding {
	all, err := readContainerd(path)
	if errors.Is(err, fs.ErrNotExist) {
		return append([]Finding{{OK, subjectContainerd, path + " does not exist: containerd's defaults, with NRI on from 2.0 on and off in 1.7",
			fmt.Sprintf("for containerd 1.7, write %s:\nversion = 2\n%s", path, linesNRI("disable = false"))}},
			checkRequired(path, "version = 3\n", nil))
	}
	if err != nil {
		return []Finding{{Warning, subjectContainerd, err.Error(), "say --containerd-config"}}
	}
	nri := all.Plugins[nriPlugin]
	var findings []Finding
	switch {
	case all.Version < 2:
		findings = append(findings, Finding{Warning, subjectContainerd, path + " is of config version 1, whose tables have other names: containerd 1.7 has NRI off then",
			fmt.Sprintf("rewrite %s as containerd config migrate prints it, so that it says:\nversion = 2\n%s", path, linesNRI("disable = false"))})
	case nri.Disable != nil && *nri.Disable:
		findings = append(findings, Finding{Failure, subjectContainerd, "is off", mendNRI(path, "disable = false")})
	case nri.Disable == nil && all.Version == 2:
		findings = append(findings, Finding{Warning, subjectContainerd, "is on by default in containerd 2, off in 1.7; the config says nothing",
			mendNRI(path, "disable = false")})
	default:
		findings = append(findings, Finding{OK, subjectContainerd, "is on", ""})
	}
	if nri.DisableConnections != nil && *nri.DisableConnections {
		findings = append(findings, Finding{Failure, subjectContainerd, "takes no connections: only pre-installed plugins work",
			"install nri-sriov in /opt/nri/plugins, or " + mendNRI(path, "disable_connections = false")})
	}
	if nri.RequestTimeout != "" {
		findings = append(findings, checkTimeout(path, nri.RequestTimeout))
	}
	return append(findings, checkRequired(path, "", nri.Validator))
}

// linesNRI are lines of containerd's config, which are the same in its versions 2 and later.
func linesNRI(settings ...string) string { return linesOf("", settings) }

func linesOf(table string, settings []string) string {
	return fmt.Sprintf("[plugins.%q%s]\n  %s", nriPlugin, table, strings.Join(settings, "\n  "))
}

// mendNRI says which lines the config is to have; a table that is there already cannot be there twice.
func mendNRI(path string, settings ...string) string {
	return fmt.Sprintf("in %s or a file that it imports, say this (in the table, where it is there already), and restart containerd:\n%s", path, linesNRI(settings...))
}

func checkTimeout(path, text string) Finding {
	timeout, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return Finding{Failure, subjectContainerd, fmt.Sprintf("plugin_request_timeout %q is no duration", text), mendNRI(path, `plugin_request_timeout = "2s"`)}
	case timeout < time.Second:
		return Finding{Warning, subjectContainerd, fmt.Sprintf("plugin_request_timeout %s leaves the gate %s", timeout, timeout*7/10), mendNRI(path, `plugin_request_timeout = "2s"`)}
	}
	return Finding{OK, subjectContainerd, "plugin_request_timeout is " + timeout.String(), ""}
}

// checkRequired begins the lines that it prints with those that the file lacks.
func checkRequired(path, begin string, validator *validatorTOML) Finding {
	v := validatorTOML{}
	if validator != nil {
		v = *validator
	}
	problem := "pods that start while nri-sriov is away start without their VFs, and get them late"
	if v.Enable && slices.Contains(v.RequiredPlugins, "nri-sriov") {
		if v.Tolerate != "" {
			return Finding{OK, "required_plugins", fmt.Sprintf("no container starts while nri-sriov is away, but in pods with the annotation %s: \"true\" "+
				"(needs containerd 2.2 or later; those before do not read it)", v.Tolerate), ""}
		}
		problem = "no container starts while nri-sriov is away, also not its own where it is a DaemonSet, nor those of static pods: there is no annotation that lets them"
	}
	plugins := slices.Clone(v.RequiredPlugins)
	if !slices.Contains(plugins, "nri-sriov") {
		plugins = append(plugins, "nri-sriov")
	}
	lines := begin + linesOf(".default_validator", []string{
		"enable = true", fmt.Sprintf(`required_plugins = ["%s"]`, strings.Join(plugins, `", "`)),
		fmt.Sprintf("tolerate_missing_plugins_annotation = %q", cmp.Or(v.Tolerate, tolerate)),
	})
	return Finding{Warning, "required_plugins", problem, fmt.Sprintf("containerd 2.2 and later only: give static pods, such as those of a control plane, the annotation "+
		"%s: \"true\" first, since they start before any DaemonSet; then, in %s or a file that it imports, say this (in the table, where it is there already), "+
		"and restart containerd:\n%s", cmp.Or(v.Tolerate, tolerate), path, lines)}
}

// readContainerd reads the file and its imports; what comes later wins, as in containerd.
func readContainerd(path string) (containerdConfig, error) {
	var all containerdConfig
	files := []string{path}
	for i := 0; i < len(files) && i < 100; i++ {
		var one containerdConfig
		text, err := os.ReadFile(files[i])
		if err != nil {
			return all, err
		}
		if err := toml.Unmarshal(text, &one); err != nil {
			return all, fmt.Errorf("%s: %w", files[i], err)
		}
		if i == 0 {
			all = one
		} else if nri, ok := one.Plugins[nriPlugin]; ok {
			if all.Plugins == nil {
				all.Plugins = map[string]pluginTOML{}
			}
			all.Plugins[nriPlugin] = nri.over(all.Plugins[nriPlugin])
		}
		for _, pattern := range one.Imports {
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(files[i]), pattern)
			}
			found, err := filepath.Glob(pattern)
			if err != nil {
				return all, fmt.Errorf("%s: imports: %w", files[i], err)
			}
			files = append(files, found...)
		}
	}
	return all, nil
}

// over lays p's settings over those of base.
func (p pluginTOML) over(base pluginTOML) pluginTOML {
	if p.Disable != nil {
		base.Disable = p.Disable
	}
	if p.DisableConnections != nil {
		base.DisableConnections = p.DisableConnections
	}
	if p.RequestTimeout != "" {
		base.RequestTimeout = p.RequestTimeout
	}
	if p.Validator != nil {
		base.Validator = p.Validator
	}
	return base
}
