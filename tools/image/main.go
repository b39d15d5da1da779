// Command image makes the container image around the daemon's binary, as an archive in the layout of OCI, without a
// container engine: image -binary bin/nri-sriov -name nri-sriov:devel -output bin/nri-sriov.oci.tar
//
// The same binary and name make the same archive, byte for byte.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/nri-sriov", "the static binary")
	flag.StringVar(&o.name, "name", "nri-sriov:devel", "the image's name and tag")
	flag.StringVar(&o.output, "output", "bin/nri-sriov.oci.tar", "the archive")
	flag.StringVar(&o.version, "version", "devel", "what the image says of itself")
	flag.Parse()
	digest, err := build(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
	fmt.Println(o.output, o.name, digest)
}
