package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compile builds a small program.
func compile(t *testing.T, dir, name, text string, env ...string) string {
	t.Helper()
	source := filepath.Join(dir, name+".go")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, name), source)
	command.Env = append(os.Environ(), env...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return filepath.Join(dir, name)
}

func contents(t *testing.T, archive []byte) (files map[string][]byte, headers map[string]*tar.Header) {
	t.Helper()
	files, headers = map[string][]byte{}, map[string]*tar.Header{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name], headers[header.Name] = text, header
	}
}

// TestNamed: as people write it, and as containerd wants it.
func TestNamed(t *testing.T) {
	for image, want := range map[string]string{
		"nri-sriov:v1": "docker.io/library/nri-sriov:v1 v1", "team/nri-sriov": "docker.io/team/nri-sriov:latest latest",
		"host:5000/x:v1": "host:5000/x:v1 v1", "registry.example/a/b:v1.2": "registry.example/a/b:v1.2 v1.2", "localhost/x:v1": "localhost/x:v1 v1",
	} {
		if full, tag, err := named(image); err != nil || full+" "+tag != want {
			t.Errorf("%s: %s %s, %v", image, full, tag, err)
		}
	}
	if _, _, err := named("Upper:v1"); err == nil {
		t.Error("a name that no image can have is taken")
	}
}

// TestImage: the same binary makes the same archive twice, in it is the binary, and nothing may be written to.
func TestImage(t *testing.T) {
	dir := t.TempDir()
	binary := compile(t, dir, "program", "package main\nfunc main() {}\n", "CGO_ENABLED=0")
	var archives [][]byte
	var digests []string
	for _, name := range []string{"a", "b"} {
		output := filepath.Join(dir, name+".tar")
		digest, err := build(options{binary: binary, name: "nri-sriov:v1", output: output, version: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		archive, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		archives, digests = append(archives, archive), append(digests, digest)
	}
	if !bytes.Equal(archives[0], archives[1]) || digests[0] != digests[1] {
		t.Errorf("two archives of one binary differ: %v", digests)
	}
	files, _ := contents(t, archives[0])
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(files["index.json"], &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("%s, %v", files["index.json"], err)
	}
	if one := index.Manifests[0]; one.Digest != digests[0] || one.Annotations["io.containerd.image.name"] != "docker.io/library/nri-sriov:v1" {
		t.Errorf("the index says %+v", one)
	}
	blob := func(digest string) []byte { return files["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] }
	var manifest struct {
		Config, Layer struct{ Digest string }
		Layers        []struct{ Digest, MediaType string }
	}
	if err := json.Unmarshal(blob(digests[0]), &manifest); err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("%s, %v", blob(digests[0]), err)
	}
	var config struct {
		Architecture string
		Config       struct{ Entrypoint, Cmd []string }
		RootFS       struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(blob(manifest.Config.Digest), &config); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(config.Config.Entrypoint, []string{"/usr/local/bin/nri-sriov"}) || !slices.Equal(config.Config.Cmd, []string{"run"}) ||
		!slices.Equal(config.RootFS.DiffIDs, []string{manifest.Layers[0].Digest}) { // it is not compressed
		t.Errorf("the config is %+v", config)
	}
	layer, headers := contents(t, blob(manifest.Layers[0].Digest))
	want, err := os.ReadFile(binary)
	if err != nil || sha256.Sum256(layer[place]) != sha256.Sum256(want) {
		t.Errorf("the binary is another one (%v)", err)
	}
	for name, header := range headers {
		if header.Mode&0o222 != 0 || header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(epoch) {
			t.Errorf("%s: %+v", name, header)
		}
	}
}

// TestOnlyStatic: what is not static would not start.
func TestOnlyStatic(t *testing.T) {
	dir := t.TempDir()
	for name, binary := range map[string]string{
		"dynamic": compile(t, dir, "dynamic", "package main\nimport _ \"net\"\nimport \"C\"\nfunc main() {}\n", "CGO_ENABLED=1"),
		"no ELF":  filepath.Join(dir, "dynamic.go"),
		"no file": filepath.Join(dir, "none"),
	} {
		if _, err := build(options{binary: binary, name: "x:y", output: filepath.Join(dir, "x.tar")}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
