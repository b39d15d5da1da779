package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mirrorEnv names another Debian archive than the host's own.
const mirrorEnv = "NRI_SRIOV_LAB_MIRROR"

// targetFormat makes apt describe one index per line, for archiveURI.
const targetFormat = "$(CREATED_BY)|$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)"

// archiveURI finds the host's main Debian archive in what `apt-get
// indextargets --format targetFormat` printed: not its security archive, which
// has its own URI and no whole release.
func archiveURI(targets string) (string, error) {
	for line := range strings.Lines(targets) {
		field := strings.Split(strings.TrimSpace(line), "|")
		if len(field) != 6 || field[0] != "Packages" || field[1] != "Debian" || field[2] != "Debian" || field[3] != "main" {
			continue
		}
		// updates and backports of an archive are in the same place, but
		// only the release proves that the archive holds releases.
		if strings.Contains(field[4], "-") {
			continue
		}
		return field[5], nil
	}
	return "", errors.New("apt's configuration names no Debian main archive: set " +
		mirrorEnv + " to an archive's URI")
}

// archive is where Debian packages come from: a mirror's URI and its key.
type archive struct{ uri, keyring string }

func hostArchive(ctx context.Context) (archive, error) {
	a := archive{uri: os.Getenv(mirrorEnv)}
	for _, suffix := range []string{"gpg", "pgp"} {
		keyring := "/usr/share/keyrings/debian-archive-keyring." + suffix
		if _, err := os.Stat(keyring); err == nil {
			a.keyring = keyring
			break
		}
	}
	if a.keyring == "" {
		return archive{}, errors.New("find Debian's archive key: install debian-archive-keyring")
	}
	if a.uri != "" {
		return a, nil
	}
	targets, err := run(exec.CommandContext(ctx, "apt-get", "indextargets", "--format", targetFormat))
	if err != nil {
		return archive{}, fmt.Errorf("ask apt for the host's Debian archive: %w", err)
	}
	if a.uri, err = archiveURI(targets); err == nil {
		return a, nil
	}
	// apt names only archives whose lists it has: fetch them, into a place of
	// our own. A list that fails matters only when none is found.
	lists, err := os.MkdirTemp("", "nri-sriov-lab-lists-")
	if err != nil {
		return archive{}, fmt.Errorf("ask apt for the host's Debian archive: %w", err)
	}
	defer os.RemoveAll(lists)
	option := "Dir::State::lists=" + lists
	_, failed := run(exec.CommandContext(ctx, "apt-get", "update", "-q", "-o", option, "-o", "APT::Sandbox::User=root"))
	targets, err = run(exec.CommandContext(ctx, "apt-get", "indextargets", "-o", option, "--format", targetFormat))
	if err == nil {
		a.uri, err = archiveURI(targets)
	}
	if err != nil {
		return archive{}, errors.Join(err, failed)
	}
	return a, nil
}

// key is the content that a set of packages is named after.
func (d debs) key() string {
	return key("debian", suite, strings.Join(d.packages, " "), strings.Join(d.unpack, " "))
}

// fetch downloads packages with all that they depend on, without regard to
// what the host has installed, and unpacks them into dir.
func (d debs) fetch(ctx context.Context, c *cache, a archive, dir string) error {
	state, err := os.MkdirTemp(c.dir, "making-apt-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	for _, sub := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(state, sub), 0o755); err != nil {
			return err
		}
	}
	sources := fmt.Sprintf("deb [signed-by=%s arch=amd64] %s %s main\n", a.keyring, a.uri, suite)
	if err := os.WriteFile(filepath.Join(state, "sources.list"), []byte(sources), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(state, "status"), nil, 0o644); err != nil {
		return err
	}
	if _, err := run(d.apt(ctx, state, "update")); err != nil {
		return fmt.Errorf("read the package lists of %s at %s: %w", suite, a.uri, err)
	}
	stop := c.heartbeat("packages", func() string { return "still fetching " + strings.Join(d.packages, ", ") })
	_, err = run(d.apt(ctx, state, append([]string{"install", "--yes", "--download-only"}, d.packages...)...))
	stop()
	if err != nil {
		return fmt.Errorf("fetch %s from %s at %s: %w", strings.Join(d.packages, ", "), suite, a.uri, err)
	}
	return d.unpackInto(ctx, c, filepath.Join(state, "archives"), dir)
}

// apt is apt-get in a world of its own, but with the host's proxy settings.
func (d debs) apt(ctx context.Context, state string, args ...string) *exec.Cmd {
	options := []string{
		"Dir::State=" + state,
		"Dir::State::lists=" + filepath.Join(state, "lists"),
		"Dir::State::status=" + filepath.Join(state, "status"),
		"Dir::Cache=" + state,
		"Dir::Cache::archives=" + filepath.Join(state, "archives"),
		"Dir::Etc::sourcelist=" + filepath.Join(state, "sources.list"),
		"Dir::Etc::sourceparts=/dev/null",
		"Dir::Etc::preferences=/dev/null",
		"Dir::Etc::preferencesparts=/dev/null",
		"APT::Architecture=amd64",
		"APT::Architectures=amd64",
		"APT::Install-Recommends=false",
		"APT::Sandbox::User=root",
		"Acquire::Languages=none",
		"Acquire::Retries=3",
		"Debug::NoLocking=true",
	}
	command := []string{"-q"}
	for _, option := range options {
		command = append(command, "-o", option)
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(command, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return cmd
}

// unpackInto unpacks the wanted files and writes down which they were.
func (d debs) unpackInto(ctx context.Context, c *cache, from, dir string) error {
	patterns := d.unpack
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(from, pattern+".deb"))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	fmt.Fprintf(c.progress, "lab: packages: unpacking %d\n", len(files))
	// A merged /usr must be there before the first package that ships /bin.
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(dir, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	var names []string
	for _, file := range files {
		if err := unpackDeb(ctx, file, dir); err != nil {
			return err
		}
		names = append(names, filepath.Base(file))
	}
	if _, err := os.Stat(filepath.Join(dir, d.check)); err != nil {
		return fmt.Errorf("unpack %s: %w", strings.Join(d.packages, ", "), err)
	}
	return os.WriteFile(filepath.Join(dir, "packages.list"), []byte(strings.Join(names, "\n")+"\n"), 0o644)
}

// unpackDeb unpacks one package through tar, which keeps the links of a merged
// /usr (dpkg-deb --extract would put a folder in the place of a link).
func unpackDeb(ctx context.Context, file, dir string) error {
	tar := exec.CommandContext(ctx, "tar", "--extract", "--keep-directory-symlink", "--preserve-permissions",
		"--same-owner", "--directory", dir)
	deb := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	stream, err := deb.StdoutPipe()
	if err != nil {
		return err
	}
	tar.Stdin = stream
	var complaint strings.Builder
	deb.Stderr = &complaint
	if err := deb.Start(); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	_, err = run(tar)
	if err := errors.Join(err, deb.Wait()); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", filepath.Base(file), err, complaint.String())
	}
	return nil
}
