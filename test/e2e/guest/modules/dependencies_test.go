package modules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/modules"
)

const dep = `kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/fs/mbcache.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/fs/mbcache.ko.xz:
kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/pci/vfio-pci-core.ko.xz kernel/drivers/vfio/vfio.ko.xz
kernel/drivers/vfio/pci/vfio-pci-core.ko.xz: kernel/drivers/vfio/vfio.ko.xz
kernel/drivers/vfio/vfio.ko.xz:
a.ko: b.ko
b.ko: a.ko
`

func TestOrder(t *testing.T) {
	for _, test := range []struct {
		name    string
		ask     []string
		want    []string
		wantErr string
	}{
		{name: "needed ones first", ask: []string{"ext4"},
			want: []string{"kernel/fs/jbd2/jbd2.ko.xz", "kernel/fs/mbcache.ko.xz", "kernel/fs/ext4/ext4.ko.xz"}},
		{name: "a deep need before the shallow one that lists it later, dash or underscore", ask: []string{"vfio-pci", "vfio_pci"},
			want: []string{"kernel/drivers/vfio/vfio.ko.xz", "kernel/drivers/vfio/pci/vfio-pci-core.ko.xz", "kernel/drivers/vfio/pci/vfio-pci.ko.xz"}},
		{name: "each once", ask: []string{"jbd2", "ext4", "mbcache"},
			want: []string{"kernel/fs/jbd2/jbd2.ko.xz", "kernel/fs/mbcache.ko.xz", "kernel/fs/ext4/ext4.ko.xz"}},
		{name: "built in", ask: []string{"virtio-pci"}},
		{name: "unknown", ask: []string{"nothere"}, wantErr: "this kernel has no module nothere"},
		{name: "a circle", ask: []string{"a"}, wantErr: "needs itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := modules.Parse(strings.NewReader(dep))
			if err != nil {
				t.Fatal(err)
			}
			builtin, err := modules.Builtin(strings.NewReader("kernel/drivers/virtio/virtio_pci.ko\n"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Order(builtin, test.ask...)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("got error %v, want one with %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefusesOtherText(t *testing.T) {
	if _, err := modules.Parse(strings.NewReader("not a dependency\n")); err == nil {
		t.Error("no error")
	}
}
