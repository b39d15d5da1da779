package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Kubernetes is a Kubernetes of the cache.
type Kubernetes struct {
	// Version is that of all its parts, such as v1.37.2.
	Version string
	// Dir is the folder with etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and kubelet. They are
	// static and run on the host.
	Dir string
	// Assets are those of guests that have the kubelet.
	Assets *Assets
}

// kubernetesPin is the line of a go.mod that names Kubernetes' version.
var kubernetesPin = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)(?: // indirect)?$`)

// PrepareKubernetes makes what a cluster consists of, or finds it in the cache, as Prepare does for a guest. The first
// run compiles Kubernetes, which takes two CPUs some 14 minutes. The version is the one that test/e2e/tools/kubernetes pins.
func PrepareKubernetes(ctx context.Context, progress io.Writer) (kubernetes *Kubernetes, err error) {
	begin := time.Now()
	err = withCache(ctx, progress, func(c *cache, src source) error {
		kubernetes = &Kubernetes{}
		if kubernetes.Version, kubernetes.Dir, err = c.kubernetes(ctx, src); err != nil {
			return err
		}
		if kubernetes.Assets, err = prepare(ctx, c, src, "", kubernetes.Dir); err != nil {
			return err
		}
		fmt.Fprintf(progress, "lab: prepared in %.1f s, with Kubernetes %s and containerd %s, in %s\n",
			time.Since(begin).Seconds(), kubernetes.Version, kubernetes.Assets.Containerd, c.dir)
		return nil
	})
	return kubernetes, err
}

// kubernetes is the pinned version and the folder with its programs.
func (c *cache) kubernetes(ctx context.Context, src source) (version, dir string, err error) {
	const name = "kubernetes"
	module := src.tools(name)
	text, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", "", fmt.Errorf("read the pins of %s: %w", name, err)
	}
	found := kubernetesPin.FindStringSubmatch(string(text))
	if found == nil {
		return "", "", fmt.Errorf("the tools module %s pins no Kubernetes", name)
	}
	flags := kubernetesFlags(found[1], found[2], found[3])
	built, err := toolKey(name, module, flags...)
	if err != nil {
		return "", "", err
	}
	dir, err = c.artefact(name, key(recipe, built), func(dir string) error {
		if err := src.buildTools(ctx, c, name, module, dir, flags...); err != nil {
			return err
		}
		// The program is named after the last part of its module's path.
		return os.Rename(filepath.Join(dir, "server"), filepath.Join(dir, "etcd"))
	})
	return found[1], dir, err
}

// kubernetesFlags have the programs know their version, as a release's do.
func kubernetesFlags(version, major, minor string) []string {
	const in = "k8s.io/component-base/version."
	link := []string{"-ldflags=-s -w"}
	for _, set := range []string{"gitVersion=" + version, "gitMajor=" + major, "gitMinor=" + minor, "gitTreeState=clean"} {
		link = append(link, "-X "+in+set)
	}
	return []string{strings.Join(link, " ")}
}
