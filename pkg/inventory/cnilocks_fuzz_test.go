package inventory

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nri-sriov/nri-sriov/pkg/vf"
)

// FuzzCNILocks: whatever another daemon has left in its files, only names of PCI functions lock, and only by a namespace
// that is there and is not the host's.
func FuzzCNILocks(f *testing.F) {
	f.Add("0000:01:10.0", "/proc/self/ns/mnt")
	f.Add("0000:01:10.0", "/proc/self/ns/net")
	f.Add("0000:01:10.0", "../../etc/passwd\n")
	f.Add("notes", "\x00")
	host, err := vf.OpenNamespace("/proc/self/ns/net")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := host.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, name, text string) {
		dir := t.TempDir()
		if filepath.Base(name) != name || os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) != nil {
			return // no file can be called so
		}
		locked, err := readCNILocks(dir, host)
		if err != nil {
			t.Fatal(err)
		}
		for address, file := range locked {
			if address.String() != name || file != filepath.Join(dir, name) {
				t.Errorf("%q with %q locks %s by %s", name, text, address, file)
			}
			if _, err := vf.NamespaceInode(text); err != nil && filepath.IsAbs(text) && len(text) < 50 {
				t.Errorf("%q locks %s", text, address)
			}
		}
	})
}
