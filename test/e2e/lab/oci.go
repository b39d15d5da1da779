package lab

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is the one image that every guest has: a static busybox, as the
// sandbox's and as the containers'. It sleeps.
const Image = "registry.lab.invalid/busybox:latest"

// applets are the commands of the image.
var applets = []string{
	"sh", "cat", "echo", "env", "ls", "sleep", "ip", "ping", "arping", "nc", "grep", "id", "mount", "stat",
	"true", "false", "test", "touch", "rm", "ps", "kill", "wc", "head", "readlink", "find", "dd", "hexdump",
}

// writeBusyboxImage writes the image as a tarball for `ctr images import`.
func writeBusyboxImage(place, busybox string) error {
	layer, err := busyboxLayer(busybox)
	if err != nil {
		return fmt.Errorf("make the image's layer: %w", err)
	}
	content, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer)), nil
	})
	if err != nil {
		return fmt.Errorf("make the image's layer: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, content)
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = "amd64", "linux"
	config.Config = v1.Config{
		Env: []string{"PATH=/bin"},
		// Process 1 of a sandbox ends on SIGTERM only when it handles it.
		Entrypoint: []string{"/bin/sh", "-c", `trap 'exit 0' TERM INT; while :; do sleep 3600 & wait; done`},
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	tag, err := name.NewTag(Image)
	if err != nil {
		return fmt.Errorf("name the image: %w", err)
	}
	if err := tarball.WriteToFile(place, tag, image); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return nil
}

func busyboxLayer(busybox string) ([]byte, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	out := tar.NewWriter(&layer)
	add := func(header tar.Header, data []byte) {
		header.Size = int64(len(data))
		err = errors.Join(err, out.WriteHeader(&header))
		_, failed := out.Write(data)
		err = errors.Join(err, failed)
	}
	for _, dir := range []string{"bin", "dev", "etc", "proc", "sys", "run", "root"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil)
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, program)
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\n"))
	for _, applet := range applets {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: filepath.Join("bin", applet), Linkname: "busybox", Mode: 0o777}, nil)
	}
	return layer.Bytes(), errors.Join(err, out.Close())
}
