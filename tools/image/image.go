package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

type options struct{ binary, name, output, version string }

// place is where the binary is in the image.
const place = "usr/local/bin/nri-sriov"

// epoch is the time of everything in the image.
var epoch = time.Unix(0, 0).UTC() // wall clock: none

// build writes the archive and answers the image's digest.
func build(o options) (digest string, err error) {
	binary, architecture, err := readStatic(o.binary)
	if err != nil {
		return "", err
	}
	image, err := imageOf(binary, architecture, o.version)
	if err != nil {
		return "", err
	}
	hash, err := image.Digest()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	index, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", fmt.Errorf("write the layout: %w", err)
	}
	full, tag, err := named(o.name)
	if err != nil {
		return "", err
	}
	if err := index.AppendImage(image, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name": full, "org.opencontainers.image.ref.name": tag,
	})); err != nil {
		return "", fmt.Errorf("write the image: %w", err)
	}
	archive, err := archiveOf(dir)
	if err != nil {
		return "", fmt.Errorf("write the archive: %w", err)
	}
	return hash.String(), os.WriteFile(o.output, archive, 0o644)
}

// named is the name under which containerd looks for an image, with the registry in front, and its tag.
func named(image string) (full, tag string, err error) {
	read, err := name.NewTag(image)
	if err != nil {
		return "", "", fmt.Errorf("name the image: %w", err)
	}
	registry := strings.Replace(read.RegistryStr(), name.DefaultRegistry, "docker.io", 1)
	return fmt.Sprintf("%s/%s:%s", registry, read.RepositoryStr(), read.TagStr()), read.TagStr(), nil
}

// readStatic reads the binary, and refuses one that needs a loader: there is none in the image.
func readStatic(name string) (binary []byte, architecture string, err error) {
	if binary, err = os.ReadFile(name); err != nil {
		return nil, "", err
	}
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return nil, "", fmt.Errorf("%s is not static: build it with CGO_ENABLED=0", name)
		}
	}
	switch file.Machine {
	case elf.EM_X86_64:
		return binary, "amd64", nil
	case elf.EM_AARCH64:
		return binary, "arm64", nil
	}
	return nil, "", fmt.Errorf("%s is for %s, which is unknown here", name, file.Machine)
}

// imageOf is an image of one layer.
func imageOf(binary []byte, architecture, version string) (v1.Image, error) {
	files, err := layerOf(binary)
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   static.NewLayer(files, types.OCIUncompressedLayer),
		History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "nri-sriov's tools/image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Created = architecture, "linux", v1.Time{Time: epoch}
	config.Config = v1.Config{
		Entrypoint: []string{"/" + place}, Cmd: []string{"run"}, User: "0:0", WorkingDir: "/",
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title": "nri-sriov", "org.opencontainers.image.version": version, "org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(image, config)
}

// layerOf is a tar of the binary and its folders, which nobody may write to.
func layerOf(binary []byte) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	header := func(name string, kind byte, size int) error {
		return writer.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Mode: 0o555, Size: int64(size), ModTime: epoch, Format: tar.FormatPAX})
	}
	for i, r := range place {
		if r == '/' {
			if err := header(place[:i+1], tar.TypeDir, 0); err != nil {
				return nil, err
			}
		}
	}
	err := header(place, tar.TypeReg, len(binary))
	if err == nil {
		_, err = writer.Write(binary)
	}
	return buffer.Bytes(), errors.Join(err, writer.Close())
}

// archiveOf is a tar of a folder; WalkDir goes through it in order.
func archiveOf(dir string) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(dir, path)
		if err = errors.Join(err, relErr); err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			return writer.WriteHeader(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: epoch})
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if err := writer.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: info.Size(), ModTime: epoch}); err != nil {
			return err
		}
		_, err = io.Copy(writer, file)
		return err
	})
	return buffer.Bytes(), errors.Join(err, writer.Close())
}
